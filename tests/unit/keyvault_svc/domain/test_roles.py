from __future__ import annotations

import pytest

from keyvault_svc.domain.roles import MAY, Action, Role, RoleRules

_DECIDES = {Role.OWNER, Role.TEAM_ADMIN}


def test_the_table_has_a_row_for_every_action_and_no_row_is_empty() -> None:
    assert set(MAY) == set(Action)
    assert all(MAY.values())


@pytest.mark.parametrize("action", Action)
def test_owners_and_their_teams_admins_may_the_same(action: Action) -> None:
    assert (Role.OWNER in MAY[action]) is (Role.TEAM_ADMIN in MAY[action])


def test_what_a_role_may_is_what_it_is_for() -> None:
    may = {role: {action for action, roles in MAY.items() if role in roles} for role in Role}
    reads = {
        Action.READ_KEYS,
        Action.READ_GRANTS,
        Action.READ_GRANT_REQUESTS,
        Action.READ_USAGE,
    }

    assert may[Role.TEAM_MEMBER] == reads
    assert may[Role.AUDITOR] == reads | {Action.READ_CONTROLS}
    assert may[Role.OPERATOR] == {
        Action.READ_KEYS,
        Action.READ_USAGE,
        Action.EXPORT_OWNER,
        Action.ERASE_OWNER,
        Action.READ_CONTROLS,
        Action.SUSPEND,
        Action.RESUME,
        Action.SET_OWNER_LIMITS,
    }
    assert may[Role.ANYBODY] == {Action.READ_CONSENT_TEXT, Action.ASK_FOR_GRANT}


@pytest.mark.parametrize(
    "action", [Action.SUSPEND, Action.RESUME, Action.SET_OWNER_LIMITS, Action.READ_CONTROLS]
)
def test_no_owner_may_use_the_operators_controls(action: Action) -> None:
    assert MAY[action].isdisjoint({*_DECIDES, Role.TEAM_MEMBER, Role.ANYBODY})


def test_whoever_may_export_or_erase_an_owner_may_see_the_keys() -> None:
    assert MAY[Action.EXPORT_OWNER] | MAY[Action.ERASE_OWNER] <= MAY[Action.READ_KEYS]


@pytest.mark.parametrize(
    ("template", "group"),
    [
        ("{team}-admins", "a.b-admins"),
        ("{team}", "a.b"),
        ("Keyturn/{team}/Admin", "Keyturn/a.b/Admin"),
    ],
)
def test_the_group_of_a_teams_admins_is_made_from_the_teams_id(template: str, group: str) -> None:
    assert RoleRules(template).admins_of("a.b") == group
