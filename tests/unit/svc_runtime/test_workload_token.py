from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from svc_runtime.app_naming import AppNaming
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.workload_token import WorkloadTokens
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier

TOKEN = SecretBytes(b"header.canary.signature")
BILLING = "spiffe://example.org/app/billing"
SEARCH = "spiffe://example.org/app/search"
NAMINGS = {
    "https://svid.example": AppNaming(),
    "https://oidc.example": AppNaming(claim="workload"),
}


def _tokens(
    answer: dict[str, object] | ServiceError, issuer: str = "https://svid.example"
) -> WorkloadTokens:
    return WorkloadTokens(FakeJWTVerifier(answer, issuer), NAMINGS)


@pytest.mark.parametrize(
    ("issuer", "expected"), [("https://svid.example", BILLING), ("https://oidc.example", SEARCH)]
)
async def test_the_workload_stands_in_the_claim_of_its_issuer(issuer: str, expected: str) -> None:
    tokens = _tokens({"sub": BILLING, "workload": SEARCH}, issuer)

    assert await tokens.app_of(TOKEN) == SpiffeId.parse(expected)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"workload": BILLING},
        {"sub": None},
        {"sub": 7},
        {"sub": [BILLING]},
        {"sub": ""},
        {"sub": "billing"},
        {"sub": "system:serviceaccount:apps:billing"},
        {"sub": "spiffe://example.org/app/../svc"},
        {"sub": "\ud800"},
    ],
    ids=range(10),
)
async def test_a_token_without_a_spiffe_id_in_its_claim_proves_nobody(
    claims: dict[str, object],
) -> None:
    with pytest.raises(CallerUnverifiedError) as caught:
        await _tokens(claims).app_of(TOKEN)

    assert caught.value.__context__ is None


async def test_the_log_says_which_rule_a_token_breaks_and_nothing_of_the_token() -> None:
    with capture_logs() as logs, pytest.raises(CallerUnverifiedError):
        await _tokens({"sub": "canary"}).app_of(TOKEN)

    assert [(log["event"], log["detail"]) for log in logs] == [("token_refused", "no_SPIFFE_ID")]
    assert "canary" not in str(logs)


@pytest.mark.parametrize("error", [CallerUnverifiedError(), IssuerUnavailableError()])
async def test_what_the_verifier_finds_is_passed_on(error: ServiceError) -> None:
    with pytest.raises(type(error)):
        await _tokens(error).app_of(TOKEN)
