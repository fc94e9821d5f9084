from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import NotTheOwnerError
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.person import Person, PersonCaller
from keyvault_svc.domain.roles import MAY, Action, Role, RoleRules
from svc_runtime.caller import Authentication

RULES = RoleRules(
    auditor_groups=frozenset({"auditors"}), operator_groups=frozenset({"on-call", "sre"})
)
STANDING = {Role.AUDITOR, Role.OPERATOR}


def _owner(name: str) -> OwnerName:
    return OwnerName.parse(name, "parent")


def _roles(name: str, groups: set[str], owner: str | None) -> set[Role]:
    person = Person(name, frozenset(groups), RULES)
    return set(person.roles_for(_owner(owner) if owner else None)) - {Role.ANYBODY}


@pytest.mark.parametrize(
    ("groups", "owner", "roles"),
    [
        (set(), "users/alice", {Role.OWNER}),
        ({"payments"}, "teams/payments", {Role.TEAM_MEMBER}),
        ({"payments-admins"}, "teams/payments", {Role.TEAM_ADMIN}),
        (
            {"payments", "payments-admins"},
            "teams/payments",
            {Role.TEAM_MEMBER, Role.TEAM_ADMIN},
        ),
        ({"auditors"}, "teams/payments", {Role.AUDITOR}),
        ({"auditors"}, "users/bob", {Role.AUDITOR}),
        ({"sre"}, "users/bob", {Role.OPERATOR}),
        ({"on-call", "sre"}, None, {Role.OPERATOR}),
        ({"auditors", "sre"}, "users/alice", {Role.OWNER, Role.AUDITOR, Role.OPERATOR}),
    ],
)
def test_a_role_follows_from_name_and_groups(
    groups: set[str], owner: str | None, roles: set[Role]
) -> None:
    assert _roles("alice", groups, owner) == roles


@pytest.mark.parametrize("owner", ["users/bob", "users/payments", "teams/alice", "teams/search"])
def test_nobody_acts_for_anybody_else(owner: str) -> None:
    assert _roles("alice", {"payments", "bob-admins", "alice-admins-admins"}, owner) == set()


@pytest.mark.parametrize(
    "group",
    [
        "Payments",
        "PAYMENTS",
        "payments ",
        " payments",
        "payments\n",
        "payments\x00",
        "/payments",
        "payments/",
        "teams/payments",
        "p\u0430yments",  # a Cyrillic letter
        "\uff50ayments",  # a full-width letter
        "payments\u200b",
        "pay%6dents",
        "payments-Admins",
        "payments-admin",
        "payments--admins",
        "payments-admins-admins",
        "payments/-admins",
        "payments\u2010admins",
        "{team}-admins",
        "{team}",
        "*",
        "",
    ],
)
def test_a_group_that_only_looks_like_the_teams_makes_no_role(group: str) -> None:
    assert _roles("alice", {group}, "teams/payments") == set()


def test_a_group_of_admins_is_a_team_of_its_own_too_and_its_members_are_no_admins_of_that() -> None:
    groups = {"x-admins"}

    assert _roles("alice", groups, "teams/x") == {Role.TEAM_ADMIN}
    assert _roles("alice", groups, "teams/x-admins") == {Role.TEAM_MEMBER}
    assert _roles("alice", groups, "teams/x-admins-admins") == set()
    assert _roles("alice", {"x"}, "teams/x-admins") == set()


def test_one_group_makes_admins_of_one_team_only() -> None:
    teams = ["a", "a-admins", "a-admins-admins", "admins", "b.a", "b-a"]
    person = Person("alice", frozenset({"a-admins"}), RULES)

    administered = [t for t in teams if Role.TEAM_ADMIN in person.roles_for(_owner(f"teams/{t}"))]

    assert administered == ["a"]


@pytest.mark.parametrize("name", ["Alice", "alice ", "\u0430lice", "users/alice", ""])
def test_a_name_that_only_looks_like_the_owners_owns_nothing(name: str) -> None:
    assert _roles(name, set(), "users/alice") == set()


@pytest.mark.parametrize("group", ["SRE", "sre ", "Auditors", "auditors\u200b", "sre-admins"])
def test_a_group_that_only_looks_like_the_operators_makes_no_role(group: str) -> None:
    assert _roles("mallory", {group}, None) == set()


def test_a_team_of_the_name_of_the_operators_group_is_no_more_than_a_team() -> None:
    assert _roles("alice", {"sre"}, "teams/sre") == {Role.TEAM_MEMBER, Role.OPERATOR}
    assert _roles("alice", {"sre-admins"}, "teams/sre") == {Role.TEAM_ADMIN}


def test_without_settings_nobody_is_auditor_or_operator() -> None:
    groups = frozenset({"auditors", "operators", "auditor", "operator", "admins", ""})

    assert Person("alice", groups).roles_for(None) == {Role.ANYBODY}


def test_a_deployment_can_make_every_member_an_admin() -> None:
    person = Person("alice", frozenset({"payments"}), RoleRules("{team}"))

    assert person.may(Action.ADD_KEY, _owner("teams/payments"))


PEOPLE = {
    Role.OWNER: (Person("alice", frozenset(), RULES), "users/alice"),
    Role.TEAM_ADMIN: (Person("alice", frozenset({"payments-admins"}), RULES), "teams/payments"),
    Role.TEAM_MEMBER: (Person("alice", frozenset({"payments"}), RULES), "teams/payments"),
    Role.AUDITOR: (Person("alice", frozenset({"auditors"}), RULES), "users/bob"),
    Role.OPERATOR: (Person("alice", frozenset({"sre"}), RULES), "users/bob"),
    Role.ANYBODY: (Person("alice", frozenset(), RULES), "users/bob"),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_a_person_may_what_the_table_allows_to_one_of_their_roles(
    action: Action, role: Role
) -> None:
    person, owner = PEOPLE[role]
    expected = bool(MAY[action] & {role, Role.ANYBODY})

    assert person.may(action, _owner(owner)) is expected
    if not expected:
        with pytest.raises(NotTheOwnerError):
            person.must(action, _owner(owner))


@pytest.mark.parametrize("action", Action)
def test_what_is_about_no_owner_is_for_standing_roles_alone(action: Action) -> None:
    person = Person("alice", frozenset({"payments", "payments-admins"}), RULES)

    assert person.may(action) is (MAY[action] == {Role.ANYBODY})


def test_a_caller_is_the_person_that_the_token_proved() -> None:
    login = Authentication(acr="silver")
    caller = PersonCaller(
        "alice", frozenset({"person"}), groups=["sre"], authentication=login, rules=RULES
    )

    assert caller.person() == Person("alice", frozenset({"sre"}), RULES, login)
