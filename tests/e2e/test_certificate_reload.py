"""Certificates change under load, and nobody notices but the next handshake."""

from __future__ import annotations

import asyncio
import operator
import ssl
from collections import Counter
from functools import partial

import grpc
import pytest

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.certs import Authority, replace, serial_of
from tests.e2e.breaking import (
    SERVED,
    SERVED_HTTP,
    by_grpc,
    by_http,
    by_owner,
    by_token,
    healthy,
    log_lines,
    logged,
    until,
    verdict,
)
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, parameters
from tests.e2e.open_load import Way, load

SERVICES = ("keyvault-svc", "gateway-svc")
TLS_PORTS = {
    "keyvault-owner": "keyvault-svc",
    "keyvault-gateway": "keyvault-svc",
    "gateway-grpc": "gateway-svc",
    "gateway-http": "gateway-svc",
}
_MOST_CALLS = 1000  # of one caller; the reload is over long before
_REPLACEMENTS = 3
_SERVED_WITHIN_SECONDS = 10.0  # of the new files; the services look once a second
_LONG_TEXT = "word " * 60  # at 50 ms a word, longer than a reload takes


def _serial_on_disk(clients: Clients, service: str) -> int:
    return serial_of(clients.stack.layout.certificate(service)[0].read_bytes())


async def _served_serials(clients: Clients) -> dict[str, int]:
    """Return the serial number of the certificate that each port shows in a new handshake."""
    return {
        name: await asyncio.to_thread(_served_serial, clients.stack.ports[name])
        for name in TLS_PORTS
    }


def _served_serial(port: int) -> int:
    return serial_of(ssl.get_server_certificate(("127.0.0.1", port)).encode("ascii"))


def _expected_serials(clients: Clients) -> dict[str, int]:
    return {name: _serial_on_disk(clients, service) for name, service in TLS_PORTS.items()}


def _reissue(clients: Clients) -> None:
    """Let the stack issue every service a new certificate, as it does when one is half through."""
    for service in SERVICES:
        clients.stack.layout.certificate(service)[0].unlink()
    clients.stack._vault.renew_certificates()


async def _call_until(clients: Clients, over: asyncio.Event) -> Counter[object]:
    """Ask again and again over one connection; return how often it ended in which way."""
    ends: Counter[object] = Counter()
    async with clients.gateway() as channel:
        stub = ChatCompletionServiceStub(channel)
        request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
        while not over.is_set() and ends.total() < _MOST_CALLS:
            call = stub.CreateChatCompletion(request, timeout=DEADLINE_SECONDS)
            ends[await verdict(clients, call)] += 1
    return ends


async def _connect_until(clients: Clients, over: asyncio.Event) -> Counter[object]:
    """Ask again and again over new connections, at each port in turn."""
    ends: Counter[object] = Counter()
    while not over.is_set() and ends.total() < _MOST_CALLS:
        for ask in (by_grpc, by_http, by_token, by_owner):
            ends[await ask(clients)] += 1
    return ends


async def test_no_call_fails_while_every_certificate_is_replaced(own_clients: Clients) -> None:
    clients, over = own_clients, asyncio.Event()
    before = await _served_serials(clients)
    async with clients.gateway() as channel, asyncio.TaskGroup() as group:
        stream = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(
                parameters=parameters(_LONG_TEXT, model="gpt-slow")
            ),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(),
        )
        parts = aiter(stream)
        await anext(parts)
        callers = [group.create_task(_call_until(clients, over)) for _ in range(4)]
        callers.append(group.create_task(_connect_until(clients, over)))

        await asyncio.to_thread(_reissue, clients)
        expected = _expected_serials(clients)
        shown = await until(lambda: _served_serials(clients), lambda serials: serials == expected)
        for service in SERVICES:
            await logged(clients, service, event="certificate_reloaded", generation=2)
        is_streaming = not stream.done()
        pieces = [choice.delta.content async for part in parts for choice in part.chunk.choices]
        over.set()

    ends = sum((caller.result() for caller in callers), Counter[object]())
    assert shown == expected
    assert not set(before.values()) & set(shown.values())
    assert set(ends) == {SERVED, SERVED_HTTP}
    assert min(caller.result().total() for caller in callers) > 1
    assert is_streaming
    assert "".join(pieces) == f"You said: {_LONG_TEXT}"
    assert await stream.code() is grpc.StatusCode.OK


async def test_no_call_of_a_steady_load_fails_while_certificates_are_replaced_again_and_again(
    own_clients: Clients,
) -> None:
    clients, ports = own_clients, own_clients.stack.ports
    way = Way(f"ipv4:127.0.0.1:{ports['gateway-grpc']}", ports["gateway-http"])
    serials = []
    async with load(clients, way) as tally:
        for _ in range(_REPLACEMENTS):
            await asyncio.to_thread(_reissue, clients)
            expected = _expected_serials(clients)
            async with asyncio.timeout(_SERVED_WITHIN_SECONDS):
                served = await until(
                    lambda: _served_serials(clients), partial(operator.eq, expected)
                )
            serials += served.values()

    assert tally.failures == Counter()
    assert set(tally.served) == {"grpc", "grpc-stream", "http", "sdk", "sdk-stream"}
    assert len(set(serials)) == _REPLACEMENTS * len(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_key_of_another_certificate_is_not_taken(
    own_clients: Clients, service: str
) -> None:
    clients = own_clients
    before = await _served_serials(clients)
    key_file = clients.stack.layout.certificate(service)[1]
    key = key_file.read_bytes()
    count_before = len(log_lines(clients, service, event="certificate_reload_refused"))
    replace(key_file, Authority().server().key)

    async def refusals() -> int:
        await _served_serials(clients)  # a handshake lets the service look at its files
        return len(log_lines(clients, service, event="certificate_reload_refused"))

    await until(refusals, lambda count: count > count_before)
    during = await _served_serials(clients)
    heard = [await by_grpc(clients), await by_http(clients), await by_owner(clients)]
    replace(key_file, key)

    assert during == before
    assert heard == [SERVED, SERVED_HTTP, SERVED]
    await healthy(clients)
