"""What an impostor can make of a good token, knowing all that is public about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from tests.e2e.clients import Clients

STRANGER = rsa.generate_private_key(65537, 2048)
_CURVE = ec.generate_private_key(ec.SECP256R1())
_ELSEWHERE = "https://127.0.0.1:9/keys"


@dataclass(frozen=True)
class _Good:
    """A good token in parts, and the public key that verifies it, as everybody can have them."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: str
    public_key: Any

    @classmethod
    def of(cls, clients: Clients, token: str) -> Self:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        jwks = clients.stack.openbao.client().read("identity/oidc/.well-known/keys")
        keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(jwks).keys}
        return cls(header, claims, token.rpartition(".")[2], keys[header["kid"]])

    def unsigned(self, header: dict[str, Any], **claims: object) -> str:
        parts = ({**self.header, **header}, {**self.claims, **claims})
        return ".".join(_base64url(json.dumps(part).encode()) for part in parts)

    def signed_by_a_stranger(self, **header: object) -> str:
        headers = {**self.header, **header}
        return jwt.encode(self.claims, STRANGER, algorithm="RS256", headers=headers)

    def signed_on_a_curve(self) -> str:
        headers = {"kid": self.header["kid"]}
        return jwt.encode(self.claims, _CURVE, algorithm="ES256", headers=headers)

    def signed_with_the_public_key(self, encoding: Encoding, algorithm: str = "HS256") -> str:
        secret = self.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        return self.signed_with(secret, algorithm)

    def signed_with(self, secret: bytes, algorithm: str = "HS256", **header: object) -> str:
        to_sign = self.unsigned({"alg": algorithm, **header})
        mac = jwt.get_algorithm_by_name(algorithm).sign(to_sign.encode(), secret)
        return f"{to_sign}.{_base64url(mac)}"

    def with_claims(self, **claims: object) -> str:
        return f"{self.unsigned({}, **claims)}.{self.signature}"

    def with_header(self, **header: object) -> str:
        return f"{self.unsigned(header)}.{self.signature}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_STRANGERS_JWK = RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)

FORGED: dict[str, Callable[[_Good], str]] = {
    "signed by a stranger": _Good.signed_by_a_stranger,
    "signed by a stranger of another algorithm": _Good.signed_on_a_curve,
    "signed by a stranger whose key it brings": (
        lambda good: good.signed_by_a_stranger(jwk=_STRANGERS_JWK)
    ),
    "signed by a stranger who says where the keys are": (
        lambda good: good.signed_by_a_stranger(jku=_ELSEWHERE)
    ),
    "signed by a stranger who says where the certificate is": (
        lambda good: good.signed_by_a_stranger(x5u=_ELSEWHERE, x5t="AA")
    ),
    "other claims under the old signature": (
        lambda good: good.with_claims(exp=good.claims["exp"] + 3600)
    ),
    "another issuer under the old signature": (lambda good: good.with_claims(iss=_ELSEWHERE)),
    "critical extensions that nobody knows": (
        lambda good: good.with_header(crit=["b64"], b64=False)
    ),
    "unknown key id": lambda good: good.with_header(kid="made-up"),
    "key id of a file": lambda good: good.signed_with(b"", kid="../../../../dev/null"),
    "key id of a query": lambda good: good.signed_with(b"x", kid="x' UNION SELECT 'x"),
    "key id that is none": lambda good: good.unsigned({"kid": [good.header["kid"]]}) + ".AA",
}
UNSIGNED: dict[str, Callable[[_Good], str]] = {
    "algorithm none": lambda good: f"{good.unsigned({'alg': 'none'})}.",
    "algorithm NoNe": lambda good: f"{good.unsigned({'alg': 'NoNe'})}.",
    "algorithm none with the old signature": lambda good: good.with_header(alg="none"),
    "no signature": lambda good: f"{good.unsigned({})}.",
}
CONFUSED: dict[str, Callable[[_Good], str]] = {
    "the public key as a secret": lambda good: good.signed_with_the_public_key(Encoding.PEM),
    "the public key's bytes as a secret": (
        lambda good: good.signed_with_the_public_key(Encoding.DER)
    ),
    "the public key as a longer secret": (
        lambda good: good.signed_with_the_public_key(Encoding.PEM, "HS512")
    ),
}


def forge(clients: Clients, token: str, forgery: str) -> str:
    """Return what an impostor makes of a good *token*, by the name of the forgery."""
    return {**FORGED, **UNSIGNED, **CONFUSED}[forgery](_Good.of(clients, token))
