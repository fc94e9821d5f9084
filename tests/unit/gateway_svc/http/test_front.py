"""What passes through the HTTP front, over real connections."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway_svc.domain.upstream_ports import StreamedBody, UpstreamAnswer, UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.http.http_site import JSON

EVENTS = (("content-type", "text/event-stream"),)
UPLOAD = (
    b"--b\r\n"
    b'content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    b'content-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n'
)
MULTIPART = b"host: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
USAGE = b'{"id":"x","usage":{"prompt_tokens":11,"completion_tokens":7}}'


def _get(path: bytes = b"/v1/models", more: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nhost: localhost\r\n" + more + b"\r\n"


def _post(body: bytes, headers: bytes, path: bytes = b"/v1/x") -> bytes:
    length = b"content-length: %d\r\n\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + headers + length + body


class _HeldUpstream(FakeUpstream):
    """An OpenAI whose answer's head comes at once, and whose body when a test lets it."""

    def __init__(self) -> None:
        super().__init__(b"data: 1\n\n", headers=EVENTS)
        self.let_go = asyncio.Event()

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        async def held(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            await self.let_go.wait()
            async for piece in body:
                yield piece

        async with super().send(request, api_key, timeout_seconds) as answer:
            yield UpstreamAnswer(answer.status, answer.headers, held(answer.body))


async def test_the_head_of_an_event_stream_leaves_before_its_first_event(
    serving: Callable[..., Any],
) -> None:
    upstream = _HeldUpstream()
    async with serving(upstream=upstream) as site, site.connected(_get()) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")
        upstream.let_go.set()
        body = await reader.readuntil(b"0\r\n\r\n")

    assert b"content-type: text/event-stream" in head.lower()
    assert b"data: 1\n\n" in body


async def test_a_client_that_takes_trailers_gets_the_receipt_and_the_tokens_in_them(
    serving: Callable[..., Any],
) -> None:
    sent = _post(b'{"model":"gpt-4o"}', JSON + b"te: trailers\r\n", b"/v1/chat/completions")
    async with serving(USAGE) as site, site.connected(sent) as (reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readuntil(b"\r\n0\r\n")
        trailers = await reader.readuntil(b"\r\n\r\n")
        writer.write(_get())  # the connection goes on
        second = await reader.readuntil(b"\r\n\r\n")

    assert b"trailer: x-keyturn-request-id, " in head
    assert USAGE in body
    assert b"x-keyturn-lease: " + b"0" * 32 in trailers
    assert trailers.endswith(b"x-keyturn-input-tokens: 11\r\nx-keyturn-output-tokens: 7\r\n\r\n")
    assert second.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_does_not_ask_for_trailers_gets_none(
    serving: Callable[..., Any],
) -> None:
    async with serving() as site, site.connected(_get()) as (reader, _):
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")

    assert b"trailer" not in answer.lower()
    assert b"tokens" not in answer.split(b"\r\n\r\n", 1)[0].lower()


async def test_an_answer_of_known_length_keeps_it(serving: Callable[..., Any]) -> None:
    upstream = FakeUpstream(
        b"abc", b"de", headers=(("content-type", "audio/mpeg"), ("content-length", "5"))
    )
    async with serving(upstream=upstream) as site, site.connected(_get()) as (reader, _):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(5)

    assert b"content-length: 5\r\n" in head
    assert b"transfer-encoding" not in head
    assert body == b"abcde"


async def test_an_encoded_answer_passes_as_it_is_to_an_app_that_takes_it(
    serving: Callable[..., Any],
) -> None:
    encoded = gzip.compress(USAGE)
    upstream = FakeUpstream(
        encoded,
        headers=(
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("content-length", str(len(encoded))),
        ),
    )
    sent = _post(b"{}", JSON + b"accept-encoding: gzip, br\r\n")
    async with serving(upstream=upstream) as site, site.connected(sent) as (reader, _):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(len(encoded))

    assert b"content-encoding: gzip\r\n" in head
    assert body == encoded
    [(request, _)] = upstream.sent
    assert ("accept-encoding", "gzip") in request.headers
    assert site.stage.leaser.settlements[0].usage.input_tokens == 11


async def test_a_head_request_gets_no_body(serving: Callable[..., Any]) -> None:
    upstream = FakeUpstream(headers=(("content-type", "audio/mpeg"), ("content-length", "5")))
    sent = b"HEAD /v1/files/f/content HTTP/1.1\r\nhost: localhost\r\n\r\n"
    async with serving(upstream=upstream) as site, site.connected(sent) as (reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        writer.write(sent)
        second = await reader.readuntil(b"\r\n\r\n")

    assert b"content-length: 5\r\n" in head
    assert second.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_an_upload_is_streamed_byte_for_byte(
    serving: Callable[..., Any], *, is_chunked: bool
) -> None:
    if is_chunked:
        chunks = b"".join(b"1\r\n" + UPLOAD[i : i + 1] + b"\r\n" for i in range(len(UPLOAD)))
        sent = b"POST /v1/files HTTP/1.1\r\n" + MULTIPART + b"transfer-encoding: chunked\r\n\r\n"
        sent += chunks + b"0\r\n\r\n"
    else:
        sent = _post(UPLOAD, MULTIPART, b"/v1/files")
    async with serving() as site, site.connected(sent) as (reader, _):
        answer = await reader.readuntil(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    [(request, _)] = site.stage.upstream.sent
    assert isinstance(request.body, StreamedBody)
    assert request.body.length == (None if is_chunked else len(UPLOAD))
    assert b"".join(site.stage.upstream.streamed) == UPLOAD
    [lease] = site.stage.leaser.requests
    assert (lease.body_sha256, lease.model) == (b"", "")
    assert len(site.stage.leaser.settlements[0].body_sha256) == 32


async def test_an_upload_that_is_encoded_is_refused(serving: Callable[..., Any]) -> None:
    async with serving() as site:
        head, error = await site.ask(_post(UPLOAD, MULTIPART + b"content-encoding: gzip\r\n"))

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"] == "content-encoding"
    assert site.stage.leaser.requests == []


async def test_an_upload_that_breaks_off_is_never_passed_on_as_whole(
    serving: Callable[..., Any],
) -> None:
    head = b"POST /v1/files HTTP/1.1\r\n" + MULTIPART + b"content-length: 1000\r\n\r\n"
    async with serving() as site, site.connected(head + UPLOAD) as (_, writer):
        while not site.stage.upstream.sent:  # noqa: ASYNC110  # the fakes write down, no more
            await asyncio.sleep(0)
        writer.transport.abort()
        while not site.stage.leaser.settlements:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)

    [settlement] = site.stage.leaser.settlements
    assert settlement.outcome != "served"
    assert settlement.body_sha256 == b""


@pytest.mark.parametrize(
    "handshake",
    [
        b"sec-websocket-version: 12\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        b"sec-websocket-version: 13\r\nsec-websocket-key: short\r\n",
        b"sec-websocket-version: 13\r\n",
    ],
)
async def test_a_malformed_handshake_is_refused_before_a_lease(
    serving: Callable[..., Any], handshake: bytes
) -> None:
    more = b"connection: upgrade\r\nupgrade: websocket\r\n" + handshake
    async with serving() as site:
        head, error = await site.ask(_get(b"/v1/realtime?model=gpt-realtime", more))

    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["param"].startswith("sec-websocket-")
    assert site.stage.leaser.requests == []


@pytest.mark.parametrize("request_line", [b"CONNECT x:443", b"TRACE /v1/x", b"GET /v2/x", b"GET /"])
async def test_what_is_not_openais_is_not_found(
    serving: Callable[..., Any], request_line: bytes
) -> None:
    async with serving() as site:
        head, error = await site.ask(request_line + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert error["code"] in {"NO_SUCH_ROUTE", "INVALID_ARGUMENT"}
    assert site.stage.leaser.requests == []


@pytest.mark.parametrize(
    ("version", "more"),
    [
        (b"", b""),
        (b" HTTP/0.9", b""),
        (b" HTTP/2.0", b""),
        (b" HTTP/1.0", b"connection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
        (b" HTTP/1.1", b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n"),
    ],
    ids=["none", "0.9", "2.0", "chunked in 1.0", "compressed"],
)
async def test_another_framing_than_that_of_http_1_is_refused_and_nothing_after_it_is_read(
    serving: Callable[..., Any], version: bytes, more: bytes
) -> None:
    head = b"GET /v1/models" + version + b"\r\nhost: localhost\r\n" + more + b"\r\n"
    async with serving() as site, site.connected(head + _get()) as (reader, _):
        answer = await reader.read()

    assert b" 400 Bad Request\r\n" in answer
    assert answer.count(b"server: keyturn\r\n") == 1
    assert site.stage.leaser.requests == []
