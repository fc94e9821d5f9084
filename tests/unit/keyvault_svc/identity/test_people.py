from __future__ import annotations

import pytest

from keyvault_svc.identity.people import PeopleByToken
from svc_runtime.caller import Caller
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier

TOKEN = SecretBytes(b"header.canary.signature")


def _people(answer: dict[str, object] | ServiceError) -> PeopleByToken:
    return PeopleByToken(FakeJWTVerifier(answer), name_claim="login", groups_claim="teams")


async def test_a_person_is_who_the_claims_say() -> None:
    people = _people({"sub": "1", "login": "alice", "teams": ["payments", "search"]})

    assert await people.verify(TOKEN) == Caller(
        "alice", frozenset({"person"}), groups=frozenset({"payments", "search"})
    )


@pytest.mark.parametrize(
    "claims",
    [{}, {"login": ""}, {"login": None}, {"login": 7}, {"login": ["alice"]}, {"sub": "alice"}],
    ids=str,
)
async def test_a_token_without_a_name_proves_nobody(claims: dict[str, object]) -> None:
    with pytest.raises(CallerUnverifiedError):
        await _people(claims).verify(TOKEN)


@pytest.mark.parametrize(
    ("teams", "groups"),
    [
        (None, set()),
        ("payments", set()),
        ({"payments": True}, set()),
        ([], set()),
        ([7, None, ["x"], "payments"], {"payments"}),
    ],
    ids=str,
)
async def test_only_a_list_of_texts_makes_groups(teams: object, groups: set[str]) -> None:
    caller = await _people({"login": "alice", "teams": teams}).verify(TOKEN)

    assert caller.groups == groups


@pytest.mark.parametrize("error", [CallerUnverifiedError(), IssuerUnavailableError()])
async def test_what_the_verifier_finds_is_passed_on(error: ServiceError) -> None:
    with pytest.raises(type(error)):
        await _people(error).verify(TOKEN)
