"""Clients that are slow, silent or malformed, over real connections."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway_svc.domain.key_name import KeyChoice, KeyName
from gateway_svc.domain.ports import LeaseOutcome
from gateway_svc.domain.roles import AppIds
from gateway_svc.http import connection, front
from gateway_svc.http.caller import HTTPAuthenticator
from gateway_svc.http.front import HTTPFront
from gateway_svc.http.server import HTTPServer
from svc_runtime.clock import SystemClock
from svc_runtime.http_tls import server_ssl_context
from svc_runtime.issuers import jwt_verifier, workload_tokens
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.tls_files import TLSFilesWatcher
from tests.certs import Authority, write
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import ANSWER, Stage

APP = "spiffe://example.org/app/billing"
JSON = b"host: localhost\r\ncontent-type: application/json\r\n"
MIB = 1024 * 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server over fakes, and its clients.

    Attributes:
        stage: Tells what became of the leases.
    """

    def __init__(self, server: HTTPServer, stage: Stage, port: int, tls: ssl.SSLContext) -> None:
        self.server = server
        self.stage = stage
        self._port = port
        self._tls = tls

    @asynccontextmanager
    async def connected(self, sent: bytes, limit: int = 2**16) -> AsyncIterator[Streams]:
        """Connect as the app and send something."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._tls, limit=limit
        )
        writer.write(sent)
        await writer.drain()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(self, sent: bytes) -> tuple[bytes, dict[str, Any]]:
        """Send something; return the head of the answer and the error in it."""
        async with self.connected(sent) as (reader, _):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
        return head, json.loads(body)["error"]


def _length(head: bytes) -> int:
    [line] = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
    return int(line.partition(b":")[2])


@pytest.fixture(name="serving")
def _serving(tmp_path: Path) -> Callable[..., Any]:
    """Serve for a while, with *seconds* for each request."""
    authority = Authority()
    watcher = TLSFilesWatcher(write(tmp_path, authority.server(), authority.pem), SystemClock())
    pair = authority.issue(uris=[APP])
    file = tmp_path / "client.pem"
    file.write_bytes(pair.key + pair.certificate)
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    tls.load_cert_chain(file)

    @asynccontextmanager
    async def serve(*pieces: bytes, seconds: float = 20.0) -> AsyncIterator[Site]:
        stage = Stage(FakeUpstream(*(pieces or (ANSWER,))))
        verifier = jwt_verifier([], SystemClock())
        ids = AppIds("spiffe://example.org/app/")
        key = {SpiffeId.parse(APP): KeyName.parse("users/alice/keys/openai")}
        server = HTTPServer(
            HTTPFront(
                stage.relay,
                HTTPAuthenticator(ids, workload_tokens(verifier, []), SystemClock()),
                KeyChoice(key),
                request_timeout_seconds=seconds,
            ),
            server_ssl_context(watcher),
            address="127.0.0.1:0",
        )
        port = await server.start()
        try:
            async with asyncio.timeout(30):
                yield Site(server, stage, port, tls)
        finally:
            await server.stop(0)
            await verifier.aclose()

    return serve


async def test_a_body_that_does_not_come_is_refused(serving: Callable[..., Any]) -> None:
    async with serving(seconds=0.2) as site:
        head, error = await site.ask(
            b"POST /v1/x HTTP/1.1\r\n" + JSON + b"content-length: 10\r\n\r\n{"
        )

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"] == "body"
    assert "must arrive before the request's time is up" in error["message"]
    assert site.stage.leaser.requests == []


async def test_an_answer_that_nobody_takes_is_cut_and_settled(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "_LAST_SECONDS", 0.0)
    with capture_logs() as logs:
        async with (
            serving(*[b" " * MIB] * 64, seconds=0.5) as site,
            site.connected(b"GET /v1/models HTTP/1.1\r\n" + JSON + b"\r\n", 1024) as (reader, _),
        ):
            await _until(lambda: bool(site.stage.leaser.settlements))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(64 * MIB)

    assert [s.outcome for s in site.stage.leaser.settlements] == [LeaseOutcome.CANCELLED]
    assert site.stage.upstream.open_count == 0
    assert [x["code"] for x in logs if x["event"] == "http"] == ["ANSWER_NOT_TAKEN"]


@pytest.mark.parametrize("sent", [b"", b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.2)
    async with serving() as site, site.connected(sent) as (reader, _):
        assert await _rest(reader) == b""


async def test_a_second_head_must_come_soon_once_it_began(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.2)
    request = b"GET /v1/models HTTP/1.1\r\n" + JSON + b"\r\n"
    async with serving() as site, site.connected(request) as (reader, writer):
        await reader.readuntil(b"0\r\n\r\n")
        await asyncio.sleep(0.4)  # longer than a head may take: an idle connection lives on
        writer.write(request)
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"GET /v1")
        assert await _rest(reader) == b""

    assert len(site.stage.leaser.settlements) == 2


async def test_a_client_that_waits_for_it_is_told_to_go_on(serving: Callable[..., Any]) -> None:
    head = b"POST /v1/x HTTP/1.1\r\n" + JSON + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    async with serving() as site, site.connected(head) as (reader, writer):
        told = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"{}")
        answered = await reader.readuntil(b"\r\n\r\n")

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"foo", b"identity, gzip"])
async def test_an_encoded_body_is_refused(serving: Callable[..., Any], encoding: bytes) -> None:
    async with serving() as site:
        head, error = await site.ask(
            b"POST /v1/x HTTP/1.1\r\n" + JSON + b"content-encoding: " + encoding + b"\r\n"
            b"content-length: 7\r\n\r\nnotgzip"
        )

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"] == "content-encoding"


@pytest.mark.parametrize("chunks", [b"ZZ\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX\r\n0\r\n\r\n"])
async def test_a_body_in_malformed_chunks_is_refused(
    serving: Callable[..., Any], chunks: bytes
) -> None:
    async with serving() as site:
        head, error = await site.ask(
            b"POST /v1/x HTTP/1.1\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n" + chunks
        )

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"] in {"body", "request"}


async def test_what_is_no_http_is_answered_and_recorded_like_a_request(
    serving: Callable[..., Any],
) -> None:
    with capture_logs() as logs:
        async with serving() as site:
            head, error = await site.ask(b"GET / HT\0TP\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nserver: keyturn\r\n" in head.lower()
    assert error["param"] == "request"
    [record] = [x for x in logs if x["event"] == "http"]
    assert (record["code"], record["reason"]) == ("400", "INVALID_ARGUMENT")
    assert record["request_id"].encode() in head


async def test_a_stop_lets_a_request_end_in_time_and_no_later(
    serving: Callable[..., Any],
) -> None:
    head = b"GET /v1/models HTTP/1.1\r\n" + JSON + b"\r\n"
    async with serving(*[b" " * MIB] * 64) as site, site.connected(head, 1024):
        await _until(lambda: site.stage.upstream.open_count == 1)
        await site.server.stop(0.1)

    assert [s.outcome for s in site.stage.leaser.settlements] == [LeaseOutcome.CANCELLED]


async def test_a_body_that_is_coming_when_the_server_stops_is_served(
    serving: Callable[..., Any],
) -> None:
    head = b"POST /v1/x HTTP/1.1\r\n" + JSON + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    async with serving() as site, site.connected(head) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        stopping = asyncio.create_task(site.server.stop(20))
        await asyncio.sleep(0)
        writer.write(b"{}")
        answer = await _rest(reader)
        await stopping

    assert answer.startswith(b"HTTP/1.1 200 ")


async def _until(has_happened: Callable[[], bool]) -> None:
    while not has_happened():  # noqa: ASYNC110  # the fakes write down what happens, no more
        await asyncio.sleep(0)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Return what is left; a connection that was cut has nothing left."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""
