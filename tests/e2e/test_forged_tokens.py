"""Tokens that prove nobody, or not the one who sends them, and the one that does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.breaking import SERVED, SERVED_HTTP, Verdict, log_lines, until, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.identities import (
    PROOF_INVALID,
    RPCS,
    UNVERIFIED,
    UNVERIFIED_HTTP,
    bearer,
    call_empty,
    connect,
    get_models,
    is_recorded_once,
    pair_of,
)

STRANGER = rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True)
class _Good:
    """A good token in parts, and the public key that verifies it, as everybody can have them."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: str
    public_key: bytes

    @classmethod
    def of(cls, clients: Clients, token: str) -> Self:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        jwks = clients.stack.openbao.client().read("identity/oidc/.well-known/keys")
        keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(jwks).keys}
        public_key = keys[header["kid"]].public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return cls(header, claims, token.rpartition(".")[2], public_key)

    def unsigned(self, header: dict[str, Any], **claims: object) -> str:
        parts = ({**self.header, **header}, {**self.claims, **claims})
        return ".".join(_base64url(json.dumps(part).encode()) for part in parts)

    def signed_by_a_stranger(self, **header: object) -> str:
        headers = {**self.header, **header}
        return jwt.encode(self.claims, STRANGER, algorithm="RS256", headers=headers)

    def signed_with_the_public_key(self) -> str:
        to_sign = self.unsigned({"alg": "HS256"})
        mac = jwt.get_algorithm_by_name("HS256").sign(to_sign.encode(), self.public_key)
        return f"{to_sign}.{_base64url(mac)}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_STRANGERS_JWK = RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
FORGERIES: dict[str, Callable[[_Good], str]] = {
    "signed by a stranger": _Good.signed_by_a_stranger,
    "signed by a stranger whose key it brings": (
        lambda good: good.signed_by_a_stranger(jwk=_STRANGERS_JWK)
    ),
    "other claims under the old signature": (
        lambda good: f"{good.unsigned({}, exp=good.claims['exp'] + 3600)}.{good.signature}"
    ),
    "algorithm none": lambda good: f"{good.unsigned({'alg': 'none'})}.",
    "no signature": lambda good: f"{good.unsigned({})}.",
    "the public key as a secret": _Good.signed_with_the_public_key,
    "unknown key id": lambda good: f"{good.unsigned({'kid': 'made-up'})}.{good.signature}",
}


def _forge(clients: Clients, token: str, forgery: str) -> str:
    """Return what an impostor can make of a good *token*."""
    return FORGERIES[forgery](_Good.of(clients, token))


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_proves_no_app(clients: Clients, forgery: str) -> None:
    token, request_id = clients.env["KEYTURN_APP_TOKEN"], new_request_id()
    forged = _forge(clients, token, forgery)
    heard = await get_models(
        clients, headers={"authorization": f"Bearer {forged}"}, request_id=request_id
    )

    assert await get_models(clients, headers={"authorization": f"Bearer {token}"}) == SERVED_HTTP
    assert heard == UNVERIFIED_HTTP
    assert await is_recorded_once(clients, "gateway-svc", request_id, event="http")


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_proves_no_owner(clients: Clients, forgery: str) -> None:
    request_id = new_request_id()
    forged = _forge(clients, clients.env["KEYTURN_OWNER_TOKEN"], forgery)
    async with connect(clients, "owner", None) as channel:
        entries = (*bearer(forged), ("x-keyturn-request-id", request_id))
        heard = await call_empty(clients, channel, RPCS["owner"][0], entries)

    assert heard == UNVERIFIED
    assert await is_recorded_once(clients, "keyvault-svc", request_id)


async def test_an_owners_token_proves_no_app_over_http(clients: Clients) -> None:
    headers = {"authorization": f"Bearer {clients.env['KEYTURN_OWNER_TOKEN']}"}

    assert await get_models(clients, headers=headers) == UNVERIFIED_HTTP


async def test_a_certificate_and_a_token_of_different_apps_prove_neither_over_http(
    clients: Clients,
) -> None:
    headers = {"authorization": f"Bearer {clients.env['KEYTURN_APP_TOKEN']}"}
    agreeing = await get_models(clients, pair=pair_of(clients, "app-demo"), headers=headers)
    differing = await get_models(clients, pair=pair_of(clients, "app-other"), headers=headers)

    assert agreeing == SERVED_HTTP
    assert differing == UNVERIFIED_HTTP


async def _ask_with_proof(clients: Clients, app: str, token: str, request_id: str) -> Verdict:
    async with clients.gateway(app=app) as channel:
        request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
        entries = metadata(clients.stack.key_name, request_id, *bearer(token))
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            request, timeout=DEADLINE_SECONDS, metadata=entries
        )
        return await verdict(clients, call)


async def test_an_apps_own_token_beside_its_certificate_is_accepted(clients: Clients) -> None:
    token = clients.env["KEYTURN_APP_TOKEN"]

    assert await _ask_with_proof(clients, "demo", token, new_request_id()) == SERVED


async def _key_service_records(clients: Clients, request_id: str) -> list[dict[str, Any]]:
    return [
        record
        for replica in ("keyvault-svc", "keyvault-svc-2")
        for record in log_lines(clients, replica, request_id=request_id, event="rpc")
    ]


@pytest.mark.parametrize(
    ("app", "proof"),
    [
        ("other", "KEYTURN_APP_TOKEN"),
        ("demo", "KEYTURN_OWNER_TOKEN"),
        *(("demo", forgery) for forgery in FORGERIES),
    ],
)
async def test_a_token_that_does_not_prove_the_app_is_refused_beside_its_certificate(
    clients: Clients, app: str, proof: str
) -> None:
    request_id, own = new_request_id(), clients.env["KEYTURN_APP_TOKEN"]
    token = _forge(clients, own, proof) if proof in FORGERIES else clients.env[proof]

    assert await _ask_with_proof(clients, app, token, request_id) == PROOF_INVALID
    assert await is_recorded_once(clients, "gateway-svc", request_id)
    records = await until(partial(_key_service_records, clients, request_id), bool)
    assert [record["reason"] for record in records] == ["APP_PROOF_INVALID"]
