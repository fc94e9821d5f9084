"""What a token says of its app, whichever port it comes to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway_svc.apps import Apps, app_token_of
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.roles import AppIds
from svc_runtime.app_naming import AppNaming
from svc_runtime.caller import Caller
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from svc_runtime.workload_token import WorkloadTokens
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier

APP = "spiffe://example.org/app/billing"
TOKEN = SecretBytes(b"aa.app-canary.cc")
ISSUER = "https://issuer.example"


def _apps(answer: Mapping[str, object] | ServiceError, scopes: tuple[str, ...] = ()) -> Apps:
    naming = AppNaming(scopes=scopes or None)
    tokens = WorkloadTokens(FakeJWTVerifier(answer, ISSUER), {ISSUER: naming})
    return Apps(AppIds("spiffe://example.org/app/"), tokens, KeyChoice({}))


async def test_a_caller_is_the_app_that_its_token_names_and_keeps_the_token_as_proof() -> None:
    caller = await _apps({"sub": APP}).caller_of(TOKEN)

    assert caller == Caller(APP, frozenset({"app"}), token=TOKEN)
    assert "canary" not in repr(caller)


@pytest.mark.parametrize(
    "claims",
    [{"sub": "spiffe://example.org/svc/gateway"}, {"sub": "alice"}, {"sub": APP + "/../x"}, {}],
    ids=["not below the prefix", "a person", "no SPIFFE id", "nobody"],
)
async def test_a_token_that_names_no_app_proves_no_caller(claims: Mapping[str, object]) -> None:
    with pytest.raises(CallerUnverifiedError):
        await _apps(claims).caller_of(TOKEN)


async def test_an_issuer_speaks_only_for_its_apps() -> None:
    with pytest.raises(CallerUnverifiedError):
        await _apps({"sub": APP}, ("spiffe://example.org/app/batch/",)).caller_of(TOKEN)


@pytest.mark.parametrize("refusal", [CallerUnverifiedError(), IssuerUnavailableError()])
async def test_what_the_verifier_says_is_what_the_caller_hears(refusal: ServiceError) -> None:
    with pytest.raises(type(refusal)):
        await _apps(refusal).caller_of(TOKEN)


@pytest.mark.parametrize("value", ["Bearer aa.app-canary.cc", "bearer  aa.app-canary.cc "])
def test_a_header_brings_one_token(value: str) -> None:
    assert app_token_of([value]) == TOKEN


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["Bearer placeholder"],
        ["aa.bb.cc"],
        ["Basic aa.bb.cc"],
        ["Bearer aa.bb.cc,Bearer aa.bb.cc"],
        ["Bearer aa.bb." + "c" * 16 * 1024],
    ],
    ids=["none", "empty", "placeholder", "no scheme", "other scheme", "joined", "too long"],
)
def test_what_is_no_token_is_no_proof(values: list[str]) -> None:
    assert app_token_of(values) is None


def test_two_headers_are_refused() -> None:
    with pytest.raises(CallerUnverifiedError):
        app_token_of(["Bearer aa.bb.cc"] * 2)
