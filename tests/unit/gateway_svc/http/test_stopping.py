"""A server that stops: connections that are told so, and answers that are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.lease_ports import LeaseOutcome
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.http.http_site import JSON, Site

ASK = b"GET /v1/models HTTP/1.1\r\n" + JSON + b"\r\n"
EVENTS: Headers = (("content-type", "text/event-stream"),)
END = b"0\r\n\r\n"
FAREWELL = b"connection: close\r\n"


class HeldUpstream(FakeUpstream):
    """Waits for `release` before each piece after the first."""

    def __init__(self, *pieces: bytes, headers: Headers) -> None:
        super().__init__(*pieces, headers=headers)
        self.release = asyncio.Event()

    async def _body(self) -> AsyncIterator[bytes]:
        async for piece in super()._body():
            yield piece
            await self.release.wait()


async def test_a_connection_that_is_idle_when_the_server_stops_serves_once_more(
    serving: Callable[..., Any],
) -> None:
    async with serving() as site, site.connected(ASK) as (reader, writer):
        first = await reader.readuntil(END)
        stopping = asyncio.create_task(site.server.stop(20))
        await asyncio.sleep(0)
        writer.write(ASK)
        last = await reader.read()
        await stopping

    assert FAREWELL not in first.lower()
    assert last.startswith(b"HTTP/1.1 200 ")
    assert FAREWELL in last.lower()


async def test_an_answer_that_had_begun_keeps_its_word_about_the_connection(
    serving: Callable[..., Any],
) -> None:
    upstream = HeldUpstream(b"data: 1\n\n", b"data: 2\n\n", headers=EVENTS)
    async with serving(upstream=upstream) as site, site.connected(ASK) as (reader, writer):
        await reader.readuntil(b"data: 1\n\n")  # its head did not say that the connection ends
        stopping = asyncio.create_task(site.server.stop(20))
        await asyncio.sleep(0)
        upstream.release.set()
        await reader.readuntil(END)
        writer.write(ASK)
        last = await reader.read()
        await stopping

    assert FAREWELL in last.lower()
    assert last.endswith(END)


async def test_a_connection_that_comes_while_the_server_stops_is_served(
    serving: Callable[..., Any],
) -> None:
    async with serving() as site, site.connected(b"") as (_, early):
        stopping = asyncio.create_task(site.server.stop(20))
        await asyncio.sleep(0)
        async with site.connected(ASK) as (reader, _):
            answer = await reader.read()
        early.transport.abort()
        await stopping

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert FAREWELL in answer.lower()


async def test_a_stop_waits_for_nobody_when_nobody_is_connected(
    serving: Callable[..., Any],
) -> None:
    async with serving() as site:
        await site.server.stop(3600)


async def test_a_stream_of_events_that_is_cut_ends_with_an_error_event(
    serving: Callable[..., Any],
) -> None:
    upstream = HeldUpstream(b"data: 1\n\n", b"data: [DONE]\n\n", headers=EVENTS)
    with capture_logs() as logs:
        async with serving(upstream=upstream) as site:
            received = await _cut(site)

    event = received.partition(b"data: 1\n\n\r\n")[2].split(b"\r\n")[1]
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert (error["code"], error["type"]) == ("SERVICE_STOPPING", "server_error")
    assert event.endswith(b"\n\n")
    assert not received.endswith(END)
    assert [s.outcome for s in site.stage.leaser.settlements] == [LeaseOutcome.CANCELLED]
    assert [(x["code"], x["reason"]) for x in logs if x["event"] == "http"] == [
        ("503", "SERVICE_STOPPING")
    ]


@pytest.mark.parametrize(
    ("piece", "headers"),
    [(b"data: half\n", EVENTS), (b'{"half":\n\n', (("content-type", "application/json"),))],
)
async def test_nothing_is_put_into_the_middle_of_what_is_cut(
    serving: Callable[..., Any], piece: bytes, headers: Headers
) -> None:
    async with serving(upstream=HeldUpstream(piece, b"rest", headers=headers)) as site:
        received = await _cut(site)

    assert b"SERVICE_STOPPING" not in received
    assert not received.endswith(END)


async def test_a_request_that_is_cut_before_its_answer_began_is_an_outage(
    serving: Callable[..., Any],
) -> None:
    head = b"POST /v1/x HTTP/1.1\r\n" + JSON + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    async with serving() as site, site.connected(head) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")  # the body is being waited for
        await site.server.stop(0)
        answer = await reader.read()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in head.lower() + b"\r\n"
    assert json.loads(body)["error"]["code"] == "SERVICE_STOPPING"


async def _cut(site: Site) -> bytes:
    """Stop the server in the middle of an answer; return what its client received."""
    async with site.connected(ASK) as (reader, _):
        head = await reader.readuntil(b"\n\r\n")
        while b"\n\r\n" not in head.partition(b"\r\n\r\n")[2]:
            head += await reader.readuntil(b"\n\r\n")
        await site.server.stop(0)
        try:
            return head + await reader.read()
        except ConnectionError:
            return head
