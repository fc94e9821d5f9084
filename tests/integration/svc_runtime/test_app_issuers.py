"""Tokens of three issuers, signed by real keys that HTTPS serves, as settings name them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import TypeAdapter

from svc_runtime.issuers import jwt_verifier, workload_tokens
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from svc_runtime.settings_models import AppIssuers
from svc_runtime.workload_token import WorkloadTokens
from tests.fakes.fake_clock import FakeClock
from tests.unit.svc_runtime.issuer import NOW, Issuer, PrivateKey, jwk, serving, sign

AUDIENCE = "keyturn"
SPIRE, CLUSTER, LOGIN = "https://spire.example", "https://cluster.example", "https://login.example"
KEYS: dict[str, tuple[PrivateKey, str]] = {
    SPIRE: (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    CLUSTER: (rsa.generate_private_key(65537, 2048), "RS256"),
    LOGIN: (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
}
NAMINGS: dict[str, dict[str, Any]] = {
    SPIRE: {"trust_domain": "spire.example"},
    CLUSTER: {"kind": "kubernetes", "trust_domain": "example.org", "single_audience": True},
    LOGIN: {
        "kind": "oidc",
        "app_claim": "azp",
        "app_id_template": "spiffe://example.org/app/{claim}",
        "apps": {"auth0|4711": "spiffe://example.org/billing"},
        "required_claims": {"gty": "client-credentials"},
        "max_token_lifetime_seconds": 600,
    },
}
SVID: dict[str, Any] = {"sub": "spiffe://spire.example/billing"}
ACCOUNT: dict[str, Any] = {
    "sub": "system:serviceaccount:payments:billing",
    "kubernetes.io": {"namespace": "payments", "serviceaccount": {"name": "billing", "uid": "8"}},
}
CLIENT: dict[str, Any] = {"sub": "billing@clients", "azp": "billing", "gty": "client-credentials"}
GOOD: dict[str, dict[str, Any]] = {SPIRE: SVID, CLUSTER: ACCOUNT, LOGIN: CLIENT}


@dataclass(frozen=True)
class _Side:
    issuers: dict[str, Issuer]
    tokens: WorkloadTokens
    clock: FakeClock

    async def app_of(self, token: SecretBytes) -> str:
        """Return the app, or the reason for which there is none."""
        try:
            return str(await self.tokens.app_of(token))
        except ServiceError as error:
            return error.reason


@pytest.fixture(name="side")
async def _side(tmp_path: Path) -> AsyncIterator[_Side]:
    async with AsyncExitStack() as stack:
        issuers = {}
        for number, (name, (key, _)) in enumerate(KEYS.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            issuers[name] = await stack.enter_async_context(serving(folder))
            issuers[name].keys = [jwk(key, "one")]
        settings = TypeAdapter(AppIssuers).validate_python(
            [
                {
                    "issuer": name,
                    "audience": AUDIENCE,
                    "jwks_url": issuer.jwks_url,
                    "ca_file": issuer.ca_file,
                    **NAMINGS[name],
                }
                for name, issuer in issuers.items()
            ]
        )
        clock = FakeClock()
        verifier = jwt_verifier(settings, clock)
        stack.push_async_callback(verifier.aclose)
        yield _Side(issuers, workload_tokens(verifier, settings), clock)


def _token(issuer: str, key_of: str = "", key_id: str = "one", **changes: object) -> SecretBytes:
    key, algorithm = KEYS[key_of or issuer]
    claims = {"iss": issuer, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, **GOOD[issuer]}
    return sign({**claims, **changes}, key, algorithm=algorithm, key_id=key_id)


async def test_the_tokens_of_each_issuer_name_apps_in_their_own_way(side: _Side) -> None:
    tokens = [*map(_token, KEYS), _token(LOGIN, azp="auth0|4711")]

    assert [await side.app_of(token) for token in tokens] == [
        "spiffe://spire.example/billing",
        "spiffe://example.org/ns/payments/sa/billing",
        "spiffe://example.org/app/billing",
        "spiffe://example.org/billing",
    ]


@pytest.mark.parametrize(
    "token",
    [
        _token(SPIRE, sub="spiffe://example.org/ns/payments/sa/billing"),
        _token(SPIRE, sub="spiffe://example.org/app/billing"),
        _token(CLUSTER, sub="spiffe://example.org/app/billing"),
        _token(LOGIN, azp="spiffe://spire.example/billing"),
        _token(LOGIN, azp="../ns/payments/sa/billing"),
        _token(SPIRE, key_of=CLUSTER),
        _token(CLUSTER, key_of=LOGIN),
        _token(LOGIN, key_of=SPIRE),
        _token(CLUSTER, key_of=SPIRE, **SVID),
        _token(SPIRE, **ACCOUNT),
        _token(CLUSTER, **CLIENT),
    ],
    ids=range(11),
)
async def test_an_issuer_does_not_name_the_apps_of_another(side: _Side, token: SecretBytes) -> None:
    assert await side.app_of(token) == CallerUnverifiedError.reason


@pytest.mark.parametrize("issuer", KEYS)
async def test_a_token_for_others_only_names_no_app(side: _Side, issuer: str) -> None:
    audiences = ["other", ["other"], ["other", f"{AUDIENCE}2"], [], ""]
    heard = {await side.app_of(_token(issuer, aud=audience)) for audience in audiences}

    assert heard == {CallerUnverifiedError.reason}


async def test_a_token_for_others_too_names_its_app_unless_the_operator_forbids(
    side: _Side,
) -> None:
    audience = ["vault", AUDIENCE]

    assert await side.app_of(_token(SPIRE, aud=audience)) == "spiffe://spire.example/billing"
    assert await side.app_of(_token(CLUSTER, aud=audience)) == CallerUnverifiedError.reason
    assert await side.app_of(_token(CLUSTER, aud=[AUDIENCE])) != CallerUnverifiedError.reason


async def test_each_issuers_tokens_live_as_long_as_the_operator_allows(side: _Side) -> None:
    heard = {issuer: await side.app_of(_token(issuer, exp=NOW + 601)) for issuer in KEYS}

    assert [issuer for issuer, app in heard.items() if app == CallerUnverifiedError.reason] == [
        LOGIN
    ]


async def test_the_outage_of_one_issuer_is_none_of_the_others(side: _Side) -> None:
    assert await side.app_of(_token(CLUSTER)) == "spiffe://example.org/ns/payments/sa/billing"
    side.issuers[CLUSTER].status = 503
    side.issuers[LOGIN].status = 503
    side.clock.advance(20)

    assert await side.app_of(_token(CLUSTER)) == "spiffe://example.org/ns/payments/sa/billing"
    assert await side.app_of(_token(CLUSTER, key_id="new")) == IssuerUnavailableError.reason
    assert await side.app_of(_token(LOGIN)) == IssuerUnavailableError.reason
    assert await side.app_of(_token(SPIRE)) == "spiffe://spire.example/billing"


async def test_an_issuer_may_replace_its_keys(side: _Side) -> None:
    before = await side.app_of(_token(CLUSTER))
    key, _ = KEYS[CLUSTER]
    side.issuers[CLUSTER].keys = [jwk(key, "two")]
    side.clock.advance(10)

    assert await side.app_of(_token(CLUSTER, key_id="two")) == before
    assert await side.app_of(_token(CLUSTER)) == CallerUnverifiedError.reason
