from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from svc_runtime.jwks import parse_jwks
from tests.unit.svc_runtime.issuer import EC, ED, RSA, jwk

OTHER = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the test refuses it
P384 = ec.generate_private_key(ec.SECP384R1())


def _ids(*entries: object) -> set[str]:
    return set(parse_jwks(json.dumps({"keys": entries}).encode()))


def _without(entry: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in entry.items() if key != name}


@pytest.mark.parametrize(
    "entry",
    [
        jwk(RSA, "good"),
        jwk(RSA, "good", alg="RS256"),
        jwk(EC, "good", alg="ES256"),
        jwk(ED, "good"),
        jwk(RSA, "good", use="jwt-svid"),
        jwk(RSA, "good", key_ops=["verify"]),
        jwk(RSA, "good", more="that nobody knows"),
        _without(jwk(RSA, "good"), "use"),
    ],
)
def test_a_key_that_verifies_tokens_is_taken(entry: object) -> None:
    assert _ids(entry) == {"good"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        "text",
        None,
        [],
        {"kty": "RSA", "kid": "odd"},
        {"kty": "RSA", "n": 7, "e": [], "kid": "odd"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "odd"},
        {"kty": "quantum", "kid": "odd"},
        {"kty": "RSA", "alg": ["RS256"], "kid": "odd"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "odd"},
        jwk(RSA, "odd", alg="unknown"),
        jwk(RSA, "odd", alg="RS512"),
        jwk(RSA, "odd", alg="ES256"),
        jwk(P384, "odd"),
        jwk(WEAK, "odd"),
        jwk(RSA, "odd", use="enc"),
        jwk(RSA, "odd", use="x509-svid"),
        jwk(RSA, "odd", use=["sig"]),
        jwk(RSA, "odd", key_ops=["encrypt"]),
        jwk(RSA, "odd", key_ops="verify"),
        jwk(RSA, "odd", d="AQAB"),
        _without(jwk(RSA, "odd"), "kid"),
        {**jwk(RSA, "odd"), "kid": None},
        {**jwk(RSA, "odd"), "kid": ["odd"]},
    ],
)
def test_an_entry_that_verifies_no_token_spoils_no_other(entry: object) -> None:
    assert _ids(entry, jwk(EC, "ec")) == {"ec"}


@pytest.mark.parametrize("count", [2, 3])
def test_an_id_of_different_keys_is_nobodys(count: int) -> None:
    entries = [jwk(RSA, "twice"), jwk(OTHER, "twice"), jwk(EC, "twice")]

    assert _ids(*entries[:count], jwk(ED, "ed")) == {"ed"}
    assert _ids(*reversed(entries[:count]), jwk(ED, "ed")) == {"ed"}


def test_a_key_that_stands_there_twice_is_one_key() -> None:
    assert _ids(jwk(RSA, "rsa"), jwk(RSA, "rsa", x5t="another form of it")) == {"rsa"}


@pytest.mark.parametrize(
    "body",
    [b"", b"not JSON", b"\xff", b"[]", b"{}", b'{"keys": null}', b'{"keys": {}}', b"[" * 100_000],
)
def test_what_is_no_jwks_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a JWKS"):
        parse_jwks(body)
