"""Apps by tokens of an issuer beside the stack: a cluster's service accounts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from keyturn_cli.local.layout import DEMO_APP, OTHER_APP
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.breaking import SERVED, SERVED_HTTP, Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.identities import PROOF_INVALID, UNVERIFIED_HTTP, bearer, get_models
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.sdk_clients import async_sdk, settings_through
from tests.e2e.token_issuer import (
    APPS,
    DEMO_ACCOUNT,
    StackWithCluster,
    account_token,
    running_issuer,
)
from tests.unit.svc_runtime.issuer import AUDIENCE, Issuer

STRANGER = rsa.generate_private_key(65537, 2048)
BILLING_ACCOUNT = "system:serviceaccount:payments:billing"
BILLING = f"{APPS}payments/billing"
PROOF_REQUIRED: Verdict = ("UNAUTHENTICATED", "APP_PROOF_REQUIRED")


@pytest.fixture(name="cluster", scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with running_issuer(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(name="clients", scope="module")
def _clients(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    cluster: Issuer,
) -> Iterator[Clients]:
    """Clients of a stack that trusts the cluster."""
    home = tmp_path_factory.mktemp("app-tokens") / "home"
    stack = StackWithCluster(home, Upstream(None, canary_key, "standin"))
    stack.cluster = cluster
    with stack:
        yield Clients(stack, transcript)


async def _ask_by_sdk(clients: Clients, key: str, token: str) -> str:
    """Ask as the stock SDK does, with *token* for an API key; return the error's code, if any."""
    settings = settings_through(clients, key) | {"api_key": token}
    async with async_sdk(clients, settings) as sdk:
        try:
            answer = await sdk.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]
            )
        except openai.APIStatusError as error:
            clients.keep(error)
            return str(error.code)
    clients.keep(answer)
    return ""


async def _ask_by_grpc(clients: Clients, key: str, token: str | None, app: str = "demo") -> Verdict:
    """Ask with the certificate of *app*, and *token* beside it."""
    request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
    proof = bearer(token) if token else ()
    async with clients.gateway(app=app) as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            request,
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key, new_request_id(), *proof),
        )
        return await verdict(clients, call)


async def _lease(clients: Clients, key: OwnedKey, app: str, token: str) -> Verdict:
    """Ask the key service itself, as a gateway that says that *app* calls."""
    certificate, private_key = clients.stack.layout.certificate("gateway-svc")
    port = clients.port("keyvault", "gateway")
    request = lease_pb.AcquireLeaseRequest(
        key=key.name,
        app=app,
        app_token=token.encode(),
        method="POST",
        endpoint="chat/completions",
        model="gpt-4o-mini",
        source_ip="127.0.0.1",
        body_sha256=bytes(32),
    )
    async with clients.channel(port, certificate, private_key) as channel:
        call = KeyLeaseServiceStub(channel).AcquireLease(
            request,
            timeout=DEADLINE_SECONDS,
            metadata=(("x-keyturn-request-id", new_request_id()),),
        )
        return await verdict(clients, call)


async def test_a_service_account_is_an_app_over_http(clients: Clients) -> None:
    key = await give_key(clients, "account", app=BILLING, needs_app_proof=True)

    assert await _ask_by_sdk(clients, key.name, account_token(BILLING_ACCOUNT)) == ""
    assert await _ask_by_sdk(clients, key.name, account_token()) == "NOT_GRANTED"


async def test_a_service_account_is_the_app_that_its_certificate_names_over_grpc(
    clients: Clients,
) -> None:
    key = await give_key(clients, "both", needs_app_proof=True)
    heard = [await _ask_by_grpc(clients, key.name, token) for token in (account_token(), None)]
    of_another = await _ask_by_grpc(clients, key.name, account_token(BILLING_ACCOUNT))

    assert heard == [SERVED, PROOF_REQUIRED]
    assert of_another == PROOF_INVALID
    assert await _ask_by_grpc(clients, key.name, account_token(), app="other") == PROOF_INVALID


async def test_the_tokens_of_both_issuers_prove_the_same_app(clients: Clients) -> None:
    key = await give_key(clients, "same", needs_app_proof=True)
    tokens = [clients.env["KEYTURN_APP_TOKEN"], account_token()]

    assert [await _ask_by_grpc(clients, key.name, token) for token in tokens] == [SERVED] * 2
    assert [await _ask_by_sdk(clients, key.name, token) for token in tokens] == ["", ""]


async def test_the_key_service_believes_no_gateway_that_names_another_app(
    clients: Clients,
) -> None:
    granted = {
        app: await give_key(clients, "claimed", app=app, needs_app_proof=True)
        for app in (BILLING, DEMO_APP, OTHER_APP)
    }
    heard = {
        app: await _lease(clients, key, app, account_token(BILLING_ACCOUNT))
        for app, key in granted.items()
    }

    assert heard == {BILLING: SERVED, DEMO_APP: PROOF_INVALID, OTHER_APP: PROOF_INVALID}
    assert await _lease(clients, granted[BILLING], BILLING, "") == PROOF_REQUIRED


_FORGERIES: dict[str, dict[str, Any]] = {
    "signed by a stranger": {"key": STRANGER},
    "for another audience": {"aud": ["https://kubernetes.default.svc"]},
    "expired": {"exp": int(time.time()) - 60},
    "not valid yet": {"nbf": int(time.time()) + 3600},
    "for a year": {"exp": int(time.time()) + 365 * 86400},
    "of another account in kubernetes.io": {
        "kubernetes.io": {"namespace": "kube-system", "serviceaccount": {"name": "demo"}}
    },
    "of no account": {"sub": DEMO_APP},
    "of a namespace with a slash": {"sub": "system:serviceaccount:default/x:demo"},
    "of an account with percent signs": {"sub": "system:serviceaccount:default:dem%6f"},
}


@pytest.mark.parametrize("forgery", _FORGERIES)
async def test_a_token_that_is_not_right_in_all_proves_no_app(
    clients: Clients, forgery: str
) -> None:
    key = await give_key(clients, "forged", needs_app_proof=True)
    token = account_token(DEMO_ACCOUNT, **_FORGERIES[forgery])
    headers = {"authorization": f"Bearer {token}"}

    assert await get_models(clients, headers=headers) == UNVERIFIED_HTTP
    assert await _ask_by_grpc(clients, key.name, token) == PROOF_INVALID
    assert await _lease(clients, key, DEMO_APP, token) == PROOF_INVALID


async def test_a_token_for_further_audiences_proves_its_app(clients: Clients) -> None:
    headers = {"authorization": f"Bearer {account_token(aud=['vault', AUDIENCE])}"}

    assert await get_models(clients, headers=headers) == SERVED_HTTP


async def test_known_keys_serve_while_their_issuer_is_away(
    clients: Clients, cluster: Issuer
) -> None:
    key = await give_key(clients, "outage", needs_app_proof=True)
    before = await _ask_by_grpc(clients, key.name, account_token())
    cluster.status = 503
    during = await _ask_by_grpc(clients, key.name, account_token())
    by_http = await _ask_by_sdk(clients, key.name, account_token())
    cluster.status = 200

    assert (before, during, by_http) == (SERVED, SERVED, "")
