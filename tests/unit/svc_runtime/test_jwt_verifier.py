from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from svc_runtime.jwt_verifier import IssuerUnavailableError, JWTIssuer, JWTVerifier
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from tests.fakes.fake_clock import FakeClock
from tests.unit.svc_runtime.issuer import (
    AUDIENCE,
    EC,
    ED,
    ISSUER,
    NOW,
    RSA,
    Issuer,
    PrivateKey,
    assemble,
    claims,
    jwk,
    serving,
    sign,
)

STRANGER = rsa.generate_private_key(65537, 2048)
RSA_PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OCT = b"a secret that somebody published by mistake"


@pytest.fixture(name="issuer")
async def _issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with serving(tmp_path) as issuer:
        yield issuer


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="verifier")
async def _verifier(issuer: Issuer, clock: FakeClock) -> AsyncIterator[JWTVerifier]:
    trusted = JWTIssuer(ISSUER, AUDIENCE, issuer.jwks_url, issuer.ca_file)
    verifier = JWTVerifier([trusted], clock)
    yield verifier
    await verifier.aclose()


async def _is_accepted(verifier: JWTVerifier, token: SecretBytes) -> bool:
    try:
        await verifier.verify(token)
    except CallerUnverifiedError:
        return False
    return True


def _hmac_with_the_public_key() -> SecretBytes:
    """Return a token that is signed with what everybody knows: PyJWT refuses to write it."""
    algorithm = jwt.get_algorithm_by_name("HS256")
    header = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    parts = [_base64url(json.dumps(part).encode()) for part in (header, claims())]
    signature = algorithm.sign(b".".join(parts), RSA_PUBLIC_PEM)
    return SecretBytes(b".".join([*parts, _base64url(signature)]))


def _signed(payload: dict[str, object]) -> SecretBytes:
    """Return a well-signed token, whatever it says: PyJWT refuses to write some of it."""
    header = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
    parts = [_base64url(json.dumps(part).encode()) for part in (header, payload)]
    signature = jwt.get_algorithm_by_name("RS256").sign(b".".join(parts), RSA)
    return SecretBytes(b".".join([*parts, _base64url(signature)]))


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _tampered() -> SecretBytes:
    header, _, signature = sign(claims()).expose().split(b".")
    payload = _base64url(json.dumps(claims(sub="spiffe://example.org/app/admin")).encode())
    return SecretBytes(b".".join([header, payload, signature]))


def _deep(part: int) -> SecretBytes:
    parts = sign(claims()).expose().split(b".")
    parts[part] = _base64url(b"[" * 5000)
    return SecretBytes(b".".join(parts))


@pytest.mark.parametrize(
    ("key", "algorithm", "key_id"),
    [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")],
)
async def test_a_good_token_says_what_it_says(
    verifier: JWTVerifier, key: PrivateKey, algorithm: str, key_id: str
) -> None:
    token = sign(claims(extra="more"), key, algorithm=algorithm, key_id=key_id)

    verified = await verifier.verify(token)

    assert verified.issuer == ISSUER
    assert verified.claims == claims(extra="more")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "keyturn-owners"},
        {"aud": ["keyturn-owners", "others"]},
        {"aud": None},
        {"aud": 7},
        {"iss": "https://other.example.org"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"iss": {"a": 1}},
        {"exp": None},
        {"exp": NOW - 30},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": {}},
        {"exp": NOW + 86_401},
        {"exp": 10**400},
        {"iat": NOW - 86_400.5},
        {"iat": None},
        {"iat": NOW + 31},
        {"iat": "now"},
        {"nbf": NOW + 31},
        {"nbf": []},
        {"sub": 7},
    ],
    ids=lambda changes: str(changes)[:40],
)
async def test_a_claim_that_is_wrong_refuses_the_token(
    verifier: JWTVerifier, changes: dict[str, object]
) -> None:
    token = _signed(claims(**changes))

    assert not await _is_accepted(verifier, token)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 29},
        {"exp": NOW + 0.5},
        {"exp": NOW + 86_400},
        {"iat": NOW + 30, "exp": NOW + 60},
        {"nbf": NOW + 30},
        {"nbf": NOW - 3600},
        {"aud": ["others", AUDIENCE]},
    ],
    ids=lambda changes: str(changes)[:40],
)
async def test_a_claim_within_the_rules_does_not_refuse_it(
    verifier: JWTVerifier, changes: dict[str, object]
) -> None:
    assert await _is_accepted(verifier, _signed(claims(**changes)))


async def test_a_token_expires_by_the_clock(verifier: JWTVerifier, clock: FakeClock) -> None:
    token = sign(claims(exp=NOW + 300))
    before = await _is_accepted(verifier, token)
    clock.advance(330)

    assert before
    assert not await _is_accepted(verifier, token)


async def test_an_issuers_tokens_live_no_longer_than_the_operator_allows(
    issuer: Issuer, clock: FakeClock
) -> None:
    trusted = JWTIssuer(ISSUER, AUDIENCE, issuer.jwks_url, issuer.ca_file, 600)
    verifier = JWTVerifier([trusted], clock)
    clock.advance(300)
    verdicts = [await _is_accepted(verifier, sign(claims(exp=NOW + n))) for n in (600, 601)]
    await verifier.aclose()

    assert verdicts == [True, False]


_FORGED = {
    "signed by a stranger": sign(claims(), STRANGER),
    "signed by another curve key": sign(
        claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", key_id="ec"
    ),
    "an elliptic signature under an RSA key": sign(claims(), EC, algorithm="ES256"),
    "RS512": sign(claims(), algorithm="RS512"),
    "PS256": sign(claims(), algorithm="PS256"),
    "algorithm none": sign(claims(), None, algorithm="none"),
    "algorithm none, without type": assemble({"alg": "none", "kid": "rsa"}, claims()),
    "HS256 with a published secret": sign(claims(), OCT, algorithm="HS256", key_id="oct"),
    "HS256 with the public key": _hmac_with_the_public_key(),
    "changed after it was signed": _tampered(),
    "no key id": sign(claims(), key_id=None),
    "unknown key id": sign(claims(), key_id="unknown"),
    "a key id that is a list": assemble({"alg": "RS256", "kid": ["rsa"]}, claims(), b"x"),
    "a critical extension": sign(claims(), crit=["exp"], exp=1),
    "an empty list of critical extensions": sign(claims(), crit=[]),
    "no signature": assemble({"alg": "RS256", "kid": "rsa"}, claims()),
    "an algorithm that is a list": assemble({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "claims that are a list": assemble({"alg": "RS256", "kid": "rsa"}, [1], b"x"),
    "a header that is a list": assemble([], claims(), b"x"),
    "a header of endless depth": _deep(0),
    "claims of endless depth": _deep(1),
    "no part": SecretBytes(b"."),
    "empty parts": SecretBytes(b".."),
    "parts that are no JSON": SecretBytes(b"a.b.c"),
    "not ASCII": SecretBytes(b"\xff.\xfe.\xfd"),
    "too long": SecretBytes(b"x" * 16_385),
    "well signed and too long": sign(claims(more="x" * 16_384)),
    "a fourth part": SecretBytes(sign(claims()).expose() + b".more"),
}


@pytest.mark.parametrize("forgery", _FORGED)
async def test_a_forged_or_malformed_token_is_refused(
    issuer: Issuer, verifier: JWTVerifier, forgery: str
) -> None:
    issuer.keys.append({"kty": "oct", "k": _base64url(OCT).decode(), "kid": "oct", "use": "sig"})

    assert not await _is_accepted(verifier, _FORGED[forgery])


async def test_a_key_for_another_algorithm_does_not_verify(
    issuer: Issuer, verifier: JWTVerifier
) -> None:
    issuer.keys = [jwk(RSA, "rsa", alg="RS512")]

    assert not await _is_accepted(verifier, sign(claims()))


async def test_with_no_issuer_every_token_is_refused(clock: FakeClock) -> None:
    assert not await _is_accepted(JWTVerifier([], clock), sign(claims()))


async def test_keys_of_one_issuer_do_not_sign_for_another(
    issuer: Issuer, clock: FakeClock, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    async with serving(folder) as other:
        other.keys = [jwk(STRANGER, "stranger")]
        verifier = JWTVerifier(
            [
                JWTIssuer(ISSUER, AUDIENCE, issuer.jwks_url, issuer.ca_file),
                JWTIssuer("https://b.example.org", "b", other.jwks_url, other.ca_file),
            ],
            clock,
        )
        own = sign(claims(iss="https://b.example.org", aud="b"), STRANGER, key_id="stranger")
        posing = sign(claims(), STRANGER, key_id="stranger")
        with_others_audience = sign(
            claims(iss="https://b.example.org"), STRANGER, key_id="stranger"
        )
        verdicts = [await _is_accepted(verifier, t) for t in (own, posing, with_others_audience)]
        await verifier.aclose()

    assert verdicts == [True, False, False]


async def test_an_issuer_that_is_away_is_an_outage_and_no_refusal(
    issuer: Issuer, verifier: JWTVerifier
) -> None:
    issuer.status = 503

    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(sign(claims()))


async def test_tokens_are_verified_for_an_hour_of_outage_and_then_no_more(
    issuer: Issuer, verifier: JWTVerifier, clock: FakeClock
) -> None:
    token = sign(claims(exp=NOW + 7200))
    await verifier.verify(token)
    issuer.status = 503
    clock.advance(3600)
    await verifier.verify(token)
    clock.advance(1)

    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(token)


async def test_tokens_of_strangers_do_not_reach_the_issuer(
    issuer: Issuer, verifier: JWTVerifier
) -> None:
    for token in (
        sign(claims(iss="https://other.example.org")),
        sign(claims(), None, algorithm="none"),
        SecretBytes(b"x" * 16_385),
    ):
        await _is_accepted(verifier, token)

    assert issuer.fetch_count == 0


async def test_a_flood_of_made_up_key_ids_is_refused_with_few_fetches(
    issuer: Issuer, verifier: JWTVerifier, clock: FakeClock
) -> None:
    await verifier.verify(sign(claims()))
    verdicts = set()
    for number in range(40):
        clock.advance(0.5)
        verdicts.add(await _is_accepted(verifier, sign(claims(), key_id=f"made-up-{number}")))

    assert verdicts == {False}
    assert issuer.fetch_count == 1 + 2


async def test_neither_refusal_nor_log_nor_repr_shows_the_token(verifier: JWTVerifier) -> None:
    token = sign(claims(sub="spiffe://example.org/app/secret-name"), STRANGER)
    with capture_logs() as logs, pytest.raises(CallerUnverifiedError) as refused:
        await verifier.verify(token)

    shown = str(logs) + repr(refused.value) + refused.value.public_message
    assert [log["event"] for log in logs] == ["token_refused"]
    assert not any(part.decode() in shown for part in token.expose().split(b"."))
    assert "secret-name" not in shown
