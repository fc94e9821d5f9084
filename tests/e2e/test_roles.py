"""Every RPC of the owner port, by a person of every role: refused and let in as the table says."""

from __future__ import annotations

import secrets

import pytest

from keyvault_svc.domain.roles import MAY, Action, Role
from keyvault_svc.rpc.access_policy import ACTIONS
from tests.e2e.breaking import Verdict
from tests.e2e.clients import Clients
from tests.e2e.operators import auditor, operator
from tests.e2e.owners import Owner, make_team, sign_in
from tests.e2e.people_requests import REQUESTS, Place, call_as

REFUSED: Verdict = ("PERMISSION_DENIED", "NOT_THE_OWNER")
# Those who may not read a request hear what those hear who may, where there is none.
WITHOUT_ORACLE: Verdict = ("NOT_FOUND", "GRANT_REQUEST_NOT_FOUND")
BY_ANY_PERSON = "GetGrantRequest"


def test_every_call_of_people_is_in_the_matrix() -> None:
    assert set(REQUESTS) == {method.rpartition("/")[2] for method in ACTIONS}
    assert len(REQUESTS) == len(ACTIONS)
    assert set(ACTIONS.values()) == set(Action)


def _person(clients: Clients, role: Role) -> tuple[Owner, Place]:
    """Return a person who has *role*, and no other, toward an owner that holds nothing."""
    name = f"r-{secrets.token_hex(4)}"
    team = Place(f"teams/{name}")
    match role:
        case Role.OWNER:
            return sign_in(clients, name), Place(f"users/{name}")
        case Role.TEAM_ADMIN:
            make_team(clients, f"{name}-admins", name)
        case Role.TEAM_MEMBER:
            make_team(clients, name, name)
        case Role.AUDITOR:
            return auditor(clients), team
        case Role.OPERATOR:
            return operator(clients), team
        case Role.ANYBODY:
            make_team(clients, f"{name}-admins-admins", name)
    return sign_in(clients, name), team


async def _call(person: Owner, method: str, place: Place) -> Verdict:
    return await call_as(person, method, REQUESTS[method.rpartition("/")[2]](place))


@pytest.mark.parametrize("role", Role)
async def test_a_person_is_let_in_and_refused_as_the_table_of_roles_says(
    clients: Clients, role: Role
) -> None:
    person, place = _person(clients, role)
    heard = {method: await _call(person, method, place) for method in ACTIONS}
    may = {method: bool(MAY[action] & {role, Role.ANYBODY}) for method, action in ACTIONS.items()}

    assert {method for method, said in heard.items() if said == REFUSED} == {
        method
        for method, is_allowed in may.items()
        if not is_allowed and not method.endswith(f"/{BY_ANY_PERSON}")
    }
    assert [said for method, said in heard.items() if method.endswith(f"/{BY_ANY_PERSON}")] == [
        WITHOUT_ORACLE
    ]
    # Nobody was kept out for another reason, and nothing is missing.
    others = {said for said in heard.values() if said != REFUSED}
    assert not {reason for _, reason in others} & {"CALLER_UNVERIFIED", "CALLER_NOT_ALLOWED"}
    assert not {code for code, _ in others} & {"UNIMPLEMENTED", "INTERNAL", "UNKNOWN"}
