"""Clients that are slow, silent or malformed, over real connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway_svc.domain.lease_ports import LeaseOutcome
from gateway_svc.http import connection, front
from tests.unit.gateway_svc.http.http_site import JSON

MIB = 1024 * 1024


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


@pytest.mark.parametrize("encoding", [b"br", b"foo", b"identity, gzip"])
async def test_a_body_in_an_encoding_other_than_gzip_is_refused(
    serving: Callable[..., Any], encoding: bytes
) -> None:
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


@pytest.mark.parametrize("turns", range(12))
async def test_a_body_is_refused_whenever_its_malformed_rest_comes(turns: int) -> None:
    async def read(request: web.BaseRequest) -> web.StreamResponse:
        with pytest.raises(web.RequestPayloadError):
            await request.read()
        return web.Response(status=400)

    factory = connection.connections_for(read, keepalive_timeout=5.0, lingering_time=0.0)
    ours, theirs = socket.socketpair()
    with theirs:
        protocol = factory()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
        protocol.data_received(
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"
        )
        for _ in range(turns):  # how far the server is by then: each step of it once
            await asyncio.sleep(0)
        protocol.data_received(b"ZZ\r\n")

        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(sock=theirs)
            answer = await reader.read()
            writer.close()
    await factory.shutdown()

    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("more", [b"ZZ\r\n", b"2\r\n{}XX\r\n0\r\n\r\n", b"0\r\nx : y\r\n\r\n"])
async def test_a_body_whose_rest_is_malformed_is_refused_at_once(
    serving: Callable[..., Any], more: bytes
) -> None:
    head = b"POST /v1/x HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n" + JSON
    async with serving() as site, site.connected(head + b"\r\n") as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")  # the body is being read
        writer.write(b"2\r\n{}\r\n" + more)
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"body: must be framed as HTTP/1.1 demands" in answer
    assert answer.count(b"server: keyturn\r\n") == 1
    assert site.stage.leaser.requests == []


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
