from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from keyvault_svc.domain.person import Person, PersonCaller
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.identity.people import PeopleByToken
from svc_runtime.caller import Authentication
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier

TOKEN = SecretBytes(b"header.canary.signature")
RULES = RoleRules(operator_groups=frozenset({"sre"}))


def _people(answer: dict[str, object] | ServiceError) -> PeopleByToken:
    return PeopleByToken(
        FakeJWTVerifier(answer), FakeClock(), name_claim="login", groups_claim="teams", rules=RULES
    )


async def test_a_person_is_who_the_claims_say() -> None:
    people = _people({"sub": "1", "login": "alice", "teams": ["payments", "search"]})

    assert await people.verify(TOKEN) == PersonCaller(
        "alice",
        frozenset({"person"}),
        groups=frozenset({"payments", "search"}),
        rules=RULES,
        call_time=START,
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


async def test_a_token_tells_how_and_when_the_person_logged_in() -> None:
    claims = {"iat": 1000, "auth_time": 940, "amr": ["pwd", "otp"], "acr": "silver"}

    caller = await _people({"login": "alice", **claims}).verify(TOKEN)

    assert caller.authentication == Authentication(
        datetime.fromtimestamp(940, UTC), frozenset({"pwd", "otp"}), "silver"
    )


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"auth_time": None, "amr": None, "acr": None},
        {"auth_time": True, "amr": "otp", "acr": 1},
        {"auth_time": "940", "amr": {"otp": True}, "acr": ["silver"]},
        {"auth_time": math.nan, "amr": ["otp", 7], "acr": {}},
        {"auth_time": -math.inf, "amr": [["otp"]], "acr": False},
        {"auth_time": -(10**400), "amr": [None], "acr": 0},
    ],
    ids=str,
)
async def test_claims_of_the_wrong_type_say_nothing_of_the_login(
    claims: dict[str, object],
) -> None:
    caller = await _people({"login": "alice", "iat": 1000, **claims}).verify(TOKEN)

    assert caller.authentication == Authentication()


@pytest.mark.parametrize("auth_time", [1000, 1030, 1029.5])
async def test_the_clocks_of_an_issuers_servers_may_differ_a_little(auth_time: float) -> None:
    claims = {"login": "alice", "iat": 1000, "auth_time": auth_time}

    caller = await _people(claims).verify(TOKEN)

    assert caller.authentication.auth_time == datetime.fromtimestamp(auth_time, UTC)


@pytest.mark.parametrize("auth_time", [1031, 1030.5, 10**10])
async def test_a_token_of_a_login_that_is_yet_to_come_proves_nobody(auth_time: float) -> None:
    with pytest.raises(CallerUnverifiedError):
        await _people({"login": "alice", "iat": 1000, "auth_time": auth_time}).verify(TOKEN)


async def test_the_time_of_the_login_may_stand_in_another_claim() -> None:
    claims = {"login": "alice", "iat": 1000, "auth_time": 990, "logged_in": 940}
    people = PeopleByToken(
        FakeJWTVerifier(claims),
        FakeClock(),
        name_claim="login",
        groups_claim="teams",
        rules=RULES,
        auth_time_claim="logged_in",
    )

    caller = await people.verify(TOKEN)

    assert caller.authentication.auth_time == datetime.fromtimestamp(940, UTC)


async def test_an_owners_token_proves_the_same_person_at_the_calls_time() -> None:
    people = _people({"login": "alice", "teams": ["payments"]})

    assert await people.person_of(TOKEN) == Person(
        "alice", frozenset({"payments"}), RULES, call_time=START
    )
    assert await people.person_of(TOKEN) == (await people.verify(TOKEN)).person()
