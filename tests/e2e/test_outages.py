"""An outage is told as an outage, in time, and is over when its cause is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.breaking import (
    SERVED,
    SERVED_HTTP,
    Verdict,
    by_grpc,
    by_http,
    by_owner,
    by_token,
    healthy,
    kill,
    log_lines,
    logged,
    until,
)
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.suspension import suspended

KEY_SERVICE_GONE = "KEY_SERVICE_UNAVAILABLE"
VAULT_GONE: Verdict = ("UNAVAILABLE", "VAULT_UNAVAILABLE")
VAULT_GONE_HTTP: Verdict = (503, "VAULT_UNAVAILABLE")
UPSTREAM_GONE = "UPSTREAM_UNAVAILABLE"


@pytest.fixture(name="clients")
async def _clients(own_clients: Clients) -> AsyncIterator[Clients]:
    """The module's stack, which each test has to leave healthy."""
    yield own_clients
    await healthy(own_clients)


async def test_a_killed_key_service_is_an_outage_until_it_is_started_again(
    clients: Clients,
) -> None:
    kill(clients, "keyvault-svc")
    heard = [await by_grpc(clients), await by_http(clients), await by_token(clients)]
    owner = await by_owner(clients)
    clients.stack.services["keyvault-svc"].start()

    assert heard == [("UNAVAILABLE", KEY_SERVICE_GONE), *[(503, KEY_SERVICE_GONE)] * 2]
    assert owner[0] == "UNAVAILABLE"
    await healthy(clients)


async def test_a_key_service_that_hangs_is_an_outage_before_the_deadline(clients: Clients) -> None:
    await healthy(clients)  # the gateway is connected: to connect takes a second at most
    with suspended(clients.stack.services["keyvault-svc"].pid):
        waiting = asyncio.create_task(by_http(clients))  # has no deadline to tell
        heard = await by_grpc(clients, seconds=4)

    assert heard == ("UNAVAILABLE", KEY_SERVICE_GONE)
    assert await waiting == SERVED_HTTP


async def test_a_killed_gateway_serves_when_it_is_started_again(clients: Clients) -> None:
    kill(clients, "gateway-svc")
    heard = await by_grpc(clients)
    clients.stack.services["gateway-svc"].start()

    assert heard == ("UNAVAILABLE", None)
    await healthy(clients)


@pytest.mark.parametrize("order", ["keyvault-svc gateway-svc", "gateway-svc keyvault-svc"])
async def test_services_restart_in_any_order(clients: Clients, order: str) -> None:
    for service in order.split():
        clients.stack.services[service].stop()
    for service in order.split():
        clients.stack.services[service].start()

    await healthy(clients)


async def test_a_sealed_vault_is_an_outage_until_it_is_unsealed(clients: Clients) -> None:
    clients.stack.openbao.client().sys.seal()
    heard = [await by_grpc(clients), await by_http(clients), await by_token(clients)]
    owner = await by_owner(clients)
    clients.stack.openbao.stop()
    clients.stack.openbao.start()

    assert heard == [VAULT_GONE, VAULT_GONE_HTTP, VAULT_GONE_HTTP]
    assert owner == VAULT_GONE
    await healthy(clients)


async def test_services_that_start_without_vault_serve_when_it_comes(clients: Clients) -> None:
    stack = clients.stack
    stack.openbao.stop()
    running = [await by_grpc(clients), await by_http(clients), await by_token(clients)]
    owner = await by_owner(clients)
    for service in ("keyvault-svc", "gateway-svc"):
        starts = len(log_lines(clients, service, event="serving"))
        stack.services[service].stop()
        stack.services[service].start()
        await logged(clients, service, event="serving", count=starts + 1)
    fresh = [await by_grpc(clients), await by_http(clients), await by_token(clients)]
    fresh_owner = await by_owner(clients)
    stack.openbao.start()

    assert running == [VAULT_GONE, VAULT_GONE_HTTP, VAULT_GONE_HTTP]
    assert owner == VAULT_GONE
    # Vault is the issuer, too: who never had its keys can say of no token that it is wrong.
    assert fresh == [VAULT_GONE, VAULT_GONE_HTTP, (503, "ISSUER_UNAVAILABLE")]
    assert fresh_owner == ("UNAVAILABLE", "ISSUER_UNAVAILABLE")
    await healthy(clients)


async def test_a_vault_that_hangs_is_an_outage_before_the_deadline(clients: Clients) -> None:
    with suspended(clients.stack.openbao.pid):
        heard = tuple(
            await asyncio.gather(
                by_grpc(clients),
                by_grpc(clients, seconds=2.0),
                by_http(clients),
                by_token(clients),
                by_owner(clients),
            )
        )

    assert heard == (VAULT_GONE, VAULT_GONE, VAULT_GONE_HTTP, VAULT_GONE_HTTP, VAULT_GONE)


async def test_a_vault_that_cannot_write_its_audit_log_is_an_outage(clients: Clients) -> None:
    with _unwritable_audit_log(clients):
        await until(lambda: by_grpc(clients), lambda heard: heard != SERVED)
        heard = [await by_grpc(clients), await by_http(clients), await by_owner(clients)]

    assert heard == [VAULT_GONE, VAULT_GONE_HTTP, VAULT_GONE]


async def test_revoked_service_tokens_are_replaced_within_the_call(clients: Clients) -> None:
    admin = clients.stack.openbao.client()
    admin.sys.revoke_prefix("auth/keyturn-approle/login")

    assert await by_grpc(clients) == SERVED
    assert await by_owner(clients) == SERVED


async def test_an_openai_that_is_away_is_an_outage(clients: Clients) -> None:
    openai = clients.stack.services["openai-standin"]
    openai.stop()
    heard = [await by_grpc(clients), await by_http(clients)]
    openai.start()

    assert heard == [("UNAVAILABLE", UPSTREAM_GONE), (502, UPSTREAM_GONE)]
    await healthy(clients)


async def test_an_openai_that_hangs_ends_in_a_typed_time_out(clients: Clients) -> None:
    heard = await by_grpc(clients, model="gpt-hang", seconds=4)

    assert heard == ("DEADLINE_EXCEEDED", "UPSTREAM_TIMED_OUT")


async def test_an_openai_that_breaks_off_does_not_look_like_a_whole_answer(
    clients: Clients,
) -> None:
    heard = [await by_grpc(clients, model="gpt-cut"), await by_http(clients, model="gpt-cut")]

    # Over HTTP the head of the answer was out: a broken connection is all that can still be told.
    assert heard == [("UNAVAILABLE", UPSTREAM_GONE), (200, "CUT")]


async def test_an_app_that_hangs_up_ends_the_request_to_openai(clients: Clients) -> None:
    request_id = new_request_id()
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(
                parameters=parameters("so much to say " * 200, model="gpt-slow")
            ),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(request_id=request_id),
        )
        await call.read()
        during = _openai_connections(clients)
        call.cancel()

        [settled] = await logged(
            clients, "keyvault-svc", event="lease_settled", request_id=request_id
        )
    assert settled["outcome"] == "cancelled"
    assert len(_openai_connections(clients)) < len(during)


async def test_an_http_client_that_gives_up_ends_the_request_to_openai(clients: Clients) -> None:
    body = {"model": "gpt-hang", "messages": [{"role": "user", "content": "hello"}]}
    request_id = new_request_id()
    async with clients.http(app="demo") as http:
        asking = asyncio.create_task(
            http.post(
                "/v1/chat/completions", json=body, headers={"x-keyturn-request-id": request_id}
            ).__aenter__()
        )
        await logged(clients, "keyvault-svc", event="rpc", request_id=request_id)
        asking.cancel()

        [settled] = await logged(
            clients, "keyvault-svc", event="lease_settled", request_id=request_id
        )
    assert settled["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("service", "port", "certificate"),
    [
        ("gateway-svc", "gateway-grpc", "app-demo"),
        ("keyvault-svc", "keyvault-gateway", "gateway-svc"),
        ("keyvault-svc", "keyvault-owner", None),
    ],
)
async def test_a_server_that_broke_is_replaced_while_its_process_serves_on(
    clients: Clients, service: str, port: str, certificate: str | None
) -> None:
    """gRPC's server ends, silently, at a method name that is not UTF-8."""
    child, stack = clients.stack.services[service], clients.stack
    pid = child.pid
    files = stack.layout.certificate(certificate) if certificate else (None, None)
    not_utf8: Any = b"/keyturn/\xff"
    async with clients.channel(stack.ports[port], *files) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=DEADLINE_SECONDS)

    await logged(clients, service, event="server_rebuilt", port=stack.ports[port])
    await healthy(clients)
    assert child.pid == pid


@contextmanager
def _unwritable_audit_log(clients: Clients) -> Iterator[None]:
    """Put a folder where Vault's audit log is, which not even root can write to."""
    openbao = clients.stack.openbao
    log, aside = openbao.audit_log, openbao.audit_log.with_suffix(".aside")
    assert openbao.pid is not None
    log.rename(aside)
    log.mkdir()
    try:
        os.kill(openbao.pid, signal.SIGHUP)  # opens the log anew
        yield
    finally:
        log.rmdir()
        aside.rename(log)
        os.kill(openbao.pid, signal.SIGHUP)


def _openai_connections(clients: Clients) -> set[str]:
    """Return the established connections to the stand-in, by the port of the gateway's end."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("this system does not list its connections in /proc")
    openai = f":{clients.stack.ports['openai-standin']:04X}"
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2].endswith(openai) and row[3] == "01"}
