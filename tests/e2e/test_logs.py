"""Whatever happens, the services write events of the catalogue, and whose call each is of."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from svc_runtime.log_event import audited_names
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.breaking import by_grpc, by_http, by_owner, by_token, healthy, kill, logged
from tests.e2e.clients import DEADLINE_SECONDS, Clients
from tests.e2e.log_check import faults_of, faults_of_logs, logs_of
from tests.live_files import whole_lines

PORTS = [
    ("gateway", "grpc"),
    ("gateway", "http"),
    ("gateway", "health"),
    ("keyvault", "owner"),
    ("keyvault", "gateway"),
    ("keyvault", "health"),
]
SERVICES = ("gateway-svc", "keyvault-svc")
AUDITED = audited_names((*GATEWAY_EVENTS, *KEY_SERVICE_EVENTS))
RPC = {
    "event": "rpc",
    "level": "info",
    "time": "2026-03-01T12:00:00Z",
    "service": "gateway-svc",
    "request_id": "0123456789abcdef",
}


async def _say(port: int, tls: ssl.SSLContext | None, words: bytes) -> None:
    """Say *words* to *port*, and hang up once it has answered."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(words)
            await writer.drain()
            await reader.read(1)
            writer.close()
    except OSError:
        pass  # it hung up first


def _stranger() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def _trouble(clients: Clients) -> None:
    """Call in every way, rightly and wrongly, and with the other service away."""
    for port in (clients.port(service, name) for service, name in PORTS):
        await _say(port, None, b"GET / HTTP/1.1\r\n\r\n")
        await _say(port, None, b"\x16\x03\x01" + b"garbage" * 20)
        await _say(port, _stranger(), b"GET nonsense\r\n\r\n")
    for ask in (by_owner, by_grpc, by_http, by_token):
        await ask(clients)
    await by_http(clients, token="e30.e30.e30")
    await by_grpc(clients, model="gpt-that-is-not-granted")
    await by_http(clients, model="gpt-that-is-not-granted")
    kill(clients, "keyvault-svc")
    await by_grpc(clients)
    await logged(clients, "gateway-svc", event="key_service_unavailable")
    clients.stack.services["keyvault-svc"].start()
    await healthy(clients)


async def _call_at(clients: Clients, level: str) -> None:
    """Call services that were started with the setting `log_level`, and with empty logs."""
    for name in SERVICES:
        child = clients.stack.services[name]
        child.stop()
        settings = clients.stack.layout.service_settings(name)
        lines = settings.read_text().splitlines()
        others = [line for line in lines if not line.startswith("log_level")]
        settings.write_text("\n".join([f'log_level = "{level}"', *others]))
        child.log_file.write_bytes(b"")
        child.start()
    await healthy(clients)
    for ask in (by_owner, by_grpc, by_http):
        await ask(clients)
    await logged(clients, "keyvault-svc", event="lease_settled", count=2)


def _records(clients: Clients, service: str) -> list[dict[str, str]]:
    [log] = logs_of(clients.stack.layout, service)
    return [json.loads(line) for line in whole_lines(log)]


def _of_level(clients: Clients, level: str) -> set[str]:
    return {
        record["event"]
        for service in SERVICES
        for record in _records(clients, service)
        if record["level"] == level
    }


@pytest.fixture(name="clients")
def _clients(tmp_path: Path, canary_key: SecretBytes) -> Iterator[Clients]:
    """Clients of a stack of the test's own, whose logs begin with it."""
    with LocalStack(tmp_path / "home", Upstream(None, canary_key, "standin")) as stack:
        yield Clients(stack)
    assert faults_of_logs(stack.layout) == []


def test_every_line_of_both_outputs_is_an_event_of_the_catalogue(clients: Clients) -> None:
    asyncio.run(_trouble(clients))

    assert faults_of_logs(clients.stack.layout) == []
    for service in SERVICES:
        events = {record["event"] for record in _records(clients, service)}
        assert {"serving", "rpc", "vault_login"} <= events


def test_at_another_level_less_or_more_is_logged_and_evidence_always(clients: Clients) -> None:
    asyncio.run(_call_at(clients, "warning"))
    at_warning = _of_level(clients, "info")
    asyncio.run(_call_at(clients, "debug"))
    at_debug = _of_level(clients, "info")
    asyncio.run(logged(clients, "keyvault-svc", event="rpc", level="debug"))

    assert {"rpc", "http", "lease_settled"} <= at_warning
    assert at_warning <= AUDITED
    assert at_debug - AUDITED >= {"vault_login"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (json.dumps(RPC), ""),
        ("E1121 12:00:00.000000 1 ssl_transport_security.cc:1517] Handshake", "no JSON object"),
        ('"rpc"', "no JSON object"),
        ("", "no JSON object"),
        (json.dumps({**RPC, "event": "made_up"}), "no event of the catalogue"),
        (json.dumps({**RPC, "level": "error"}), "a level"),
        (json.dumps({**RPC, "issuer": "x"}), "a field that its event has not, issuer"),
        (json.dumps({**RPC, "service": "keyvault-svc"}), "of another service"),
        (json.dumps({**RPC, "request_id": ""}), "no request id"),
        (json.dumps({**RPC, "time": None}), "lacks time"),
    ],
)
def test_a_line_that_is_not_of_the_catalogue_is_seen(line: str, fault: str) -> None:
    faults = list(faults_of([line], "gateway-svc"))

    assert [fault in found for found in faults] == ([True] if fault else [])
