"""Apps that call over gRPC by their token alone, where the gateway has a port for that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.local.layout import DEMO_APP
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.breaking import SERVED, Verdict, by_http, logged, until, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import upstream_requests, vault_operations
from tests.e2e.identities import NO_HANDSHAKE, RPCS, UNVERIFIED, Proof, bearer, call_empty
from tests.e2e.log_check import faults_of_logs
from tests.e2e.owners import alice, give_key, keep_key
from tests.e2e.secret_search import search_files
from tests.e2e.token_apps import StackWithTokenPort, TokenApps
from tests.e2e.token_issuer import DEMO_ACCOUNT, account_token, running_issuer
from tests.unit.svc_runtime.issuer import Issuer

STRANGER = rsa.generate_private_key(65537, 2048)
BILLING_ACCOUNT = "system:serviceaccount:payments:billing"
NOT_GRANTED: Verdict = ("PERMISSION_DENIED", "NOT_GRANTED")
ISSUER_GONE: Verdict = ("UNAVAILABLE", "ISSUER_UNAVAILABLE")


@pytest.fixture(name="cluster", scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with running_issuer(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(name="apps", scope="module")
def _apps(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    cluster: Issuer,
) -> Iterator[TokenApps]:
    """Apps of a stack of the module's own."""
    home = tmp_path_factory.mktemp("grpc-tokens") / "home"
    stack = StackWithTokenPort(home, Upstream(None, canary_key, "standin"))
    stack.cluster = cluster
    with stack:
        yield TokenApps(Clients(stack, transcript), stack)
    assert faults_of_logs(stack.layout) == []


async def test_an_issuer_that_is_away_is_an_outage_and_no_refusal(
    apps: TokenApps, cluster: Issuer
) -> None:
    key = await give_key(apps.clients, "outage")
    cluster.status = 503
    away = await apps.ask(key.name, account_token())
    of_the_other = await apps.ask(key.name, apps.token)
    cluster.status = 200

    assert away == ISSUER_GONE
    assert of_the_other == SERVED

    async def again() -> Verdict:
        return await apps.ask(key.name, account_token())

    assert await until(again, lambda heard: heard != ISSUER_GONE) == SERVED


async def test_a_chat_is_answered_by_token_alone(apps: TokenApps) -> None:
    key, request_id = await give_key(apps.clients, "whole"), new_request_id()
    async with apps.connected(apps.token) as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters("hello there")),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name, request_id),
        )
        response = await call
        receipt = dict(await call.initial_metadata())

    apps.clients.keep(response, receipt)
    assert response.completion.choices[0].message.content == "You said: hello there"
    assert (receipt["x-keyturn-key"], receipt["x-keyturn-request-id"]) == (key.name, request_id)
    [request] = upstream_requests(apps.clients, key.api_key)
    assert request.headers["authorization"] != f"Bearer {apps.token}"


async def test_a_chat_is_streamed_by_token_alone(apps: TokenApps) -> None:
    key = await give_key(apps.clients, "streamed")
    async with apps.connected(apps.token) as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=parameters("one two")),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name),
        )
        chunks = [response.chunk async for response in call]

    apps.clients.keep(*chunks)
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert [piece for piece in pieces if piece] == ["You", " said:", " one", " two"]


async def test_the_token_is_the_proof_that_a_grant_asks_for(apps: TokenApps) -> None:
    key = await give_key(apps.clients, "proof", needs_app_proof=True)

    assert [await apps.ask(key.name, token) for token in (apps.token, account_token())] == [
        SERVED
    ] * 2
    assert await apps.ask(key.name, account_token(BILLING_ACCOUNT)) == NOT_GRANTED


async def test_a_token_of_an_app_without_a_grant_opens_nothing(apps: TokenApps) -> None:
    key, request_id = await give_key(apps.clients, "ungranted"), new_request_id()
    told = await apps.ask(key.name, account_token(BILLING_ACCOUNT), request_id=request_id)

    assert told == NOT_GRANTED
    assert upstream_requests(apps.clients, key.api_key) == []


_CHANGES: dict[str, dict[str, Any]] = {
    "expired": {"exp": int(time.time()) - 60},
    "of another issuer": {"iss": "https://other.example"},
    "for another audience": {"aud": ["vault"]},
    "signed by a stranger": {"key": STRANGER},
    "of no app": {"sub": DEMO_APP},
}


@pytest.mark.parametrize("change", _CHANGES)
async def test_a_token_that_is_not_right_is_refused_as_over_https(
    apps: TokenApps, change: str
) -> None:
    key, request_id = await give_key(apps.clients, "wrong"), new_request_id()
    token = account_token(DEMO_ACCOUNT, **_CHANGES[change])

    assert await apps.ask(key.name, token, request_id=request_id) == UNVERIFIED
    assert await by_http(apps.clients, token=token) == (401, UNVERIFIED[1])
    [record] = await logged(apps.clients, "gateway-svc", event="rpc", request_id=request_id)
    assert (record["reason"], record["caller"]) == ("CALLER_UNVERIFIED", None)
    assert vault_operations(apps.clients, request_id) == []


async def test_an_owners_token_is_no_apps(apps: TokenApps) -> None:
    token = apps.clients.env["KEYTURN_OWNER_TOKEN"]

    assert await apps.ask(apps.stack.key_name, token) == UNVERIFIED


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (("authorization", "Bearer placeholder"),),
        (("x-forwarded-client-cert", f"By=x;URI={DEMO_APP}"),),
        (("x-keyturn-app", DEMO_APP),),
    ],
    ids=["nothing", "a placeholder", "a forwarded certificate", "a name"],
)
async def test_a_call_without_a_token_is_refused_by_every_rpc(
    apps: TokenApps, entries: Proof
) -> None:
    async with apps.connected() as channel:
        heard = {
            method.full_name: await call_empty(apps.clients, channel, method, entries)
            for method in RPCS["gateway"]
        }

    assert heard == dict.fromkeys(heard, UNVERIFIED)


async def test_two_tokens_are_refused(apps: TokenApps) -> None:
    heard = await apps.ask(apps.stack.key_name, apps.token, *bearer(account_token()))

    assert heard == UNVERIFIED


async def test_a_certificate_alone_is_no_proof_at_the_port_of_tokens(apps: TokenApps) -> None:
    pair = apps.stack.layout.certificate("app-demo")
    async with apps.clients.channel(apps.stack.token_port, *pair) as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
        )
        assert await verdict(apps.clients, call) == UNVERIFIED


async def test_the_port_of_certificates_takes_no_token_in_place_of_one(apps: TokenApps) -> None:
    port = apps.clients.port("gateway", "grpc")
    request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
    heard = []
    async with apps.clients.channel(port) as bare, apps.clients.gateway() as certified:
        for channel in (bare, certified):
            call = ChatCompletionServiceStub(channel).CreateChatCompletion(
                request,
                timeout=DEADLINE_SECONDS,
                metadata=metadata(None, None, *bearer(apps.token)),
            )
            heard.append(await verdict(apps.clients, call))

    assert heard == [NO_HANDSHAKE, SERVED]


async def test_nothing_is_served_in_the_clear(apps: TokenApps) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{apps.stack.token_port}") as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=bearer(account_token()),
        )
        assert await verdict(apps.clients, call) == NO_HANDSHAKE


async def test_a_revocation_holds_from_the_next_call(apps: TokenApps) -> None:
    key = await keep_key(apps.clients, "revoked")
    grant = await alice(apps.clients).create_grant(key.name)
    before = await apps.ask(key.name, apps.token)
    await alice(apps.clients).revoke_grant(grant.name)

    assert before == SERVED
    assert await apps.ask(key.name, apps.token) == ("PERMISSION_DENIED", "GRANT_REVOKED")


async def test_a_call_is_recorded_under_the_app_that_its_certificate_would_name(
    apps: TokenApps,
) -> None:
    key = await give_key(apps.clients, "recorded")
    by_token, by_certificate = new_request_id(), new_request_id()
    await apps.ask(key.name, apps.token, request_id=by_token)
    async with apps.clients.gateway() as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name, by_certificate),
        )

    for request_id in (by_token, by_certificate):
        [record] = await logged(apps.clients, "gateway-svc", event="rpc", request_id=request_id)
        assert (record["caller"], record["app"], record["source_ip"]) == (
            DEMO_APP,
            DEMO_APP,
            "127.0.0.1",
        )
        apps_of_vault = {op.tags["app"] for op in vault_operations(apps.clients, request_id)}
        assert apps_of_vault == {DEMO_APP}


async def test_a_token_stands_in_no_log(apps: TokenApps) -> None:
    key = await give_key(apps.clients, "unlogged")
    tokens = [account_token(), account_token(exp=int(time.time()) - 60)]
    heard = [await apps.ask(key.name, token) for token in tokens]
    forms = {
        f"{part} {number}": token.split(".")[part].encode()
        for number, token in enumerate(tokens)
        for part in (1, 2)
    }
    found, files = search_files(apps.stack.layout.logs_dir, forms)

    assert heard == [SERVED, UNVERIFIED]
    assert "gateway-svc.log" in {file.name for file in files}
    assert found == []
