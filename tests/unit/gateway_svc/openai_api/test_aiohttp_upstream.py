"""What reaches an upstream, by real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamNotAllowedError, UpstreamUnavailableError
from gateway_svc.domain.upstream_ports import StreamedBody, UpstreamRequest
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.figures import measured_figures

API_KEY = SecretBytes(b"sk-canary-0123456789abcdef")
MULTIPART = (("content-type", "multipart/form-data; boundary=b"),)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Server:
    """An upstream that keeps what it gets."""

    def __init__(self, handler: Handler | None = None) -> None:
        self._handler = handler
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.heads = asyncio.Semaphore(0)
        self.breaks = asyncio.Semaphore(0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.heads.release()
        if self._handler is not None:
            return await self._handler(request)
        try:
            self.bodies.append(await request.read())
        except (web.RequestPayloadError, ConnectionError, asyncio.CancelledError):
            self.breaks.release()
            raise
        return web.Response(text="taken")


@asynccontextmanager
async def _upstream(
    server: _Server, *more_base_urls: str
) -> AsyncIterator[tuple[AiohttpUpstream, str]]:
    runner = web.ServerRunner(
        web.Server(server.handle, handler_cancellation=True), shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    upstream = AiohttpUpstream([base_url, *more_base_urls], None, max_connections=2)
    await upstream.start()
    try:
        yield upstream, base_url
    finally:
        await upstream.close()
        await runner.cleanup()


def _request(body: bytes | StreamedBody = b"", base_url: str = "") -> UpstreamRequest:
    return UpstreamRequest("POST", Endpoint.parse("files"), "a=1&a=2", MULTIPART, body, base_url)


async def _pieces(*pieces: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def _status(upstream: AiohttpUpstream, request: UpstreamRequest) -> int:
    async with upstream.send(request, API_KEY, 10.0) as answer:
        assert b"".join([piece async for piece in answer.body]) == b"taken"
        return answer.status


async def test_a_streamed_body_of_known_length_bears_it() -> None:
    server = _Server()
    async with _upstream(server) as (upstream, _):
        await _status(upstream, _request(StreamedBody(_pieces(b"ab", b"cde"), 5)))

    assert server.bodies == [b"abcde"]
    assert server.requests[0].headers["content-length"] == "5"
    assert "transfer-encoding" not in server.requests[0].headers


async def test_a_streamed_body_of_unknown_length_is_chunked() -> None:
    server = _Server()
    async with _upstream(server) as (upstream, _):
        await _status(upstream, _request(StreamedBody(_pieces(b"ab", b"cde"))))

    assert server.bodies == [b"abcde"]
    assert server.requests[0].headers["transfer-encoding"] == "chunked"
    assert server.requests[0].raw_path == "/v1/files?a=1&a=2"


async def test_the_head_with_the_key_leaves_before_the_first_piece_of_the_body() -> None:
    server = _Server()

    async def slow() -> AsyncIterator[bytes]:
        await server.heads.acquire()  # would wait for ever if the head waited for the body
        yield b"late"

    async with asyncio.timeout(10), _upstream(server) as (upstream, _):
        await _status(upstream, _request(StreamedBody(slow())))

    assert server.bodies == [b"late"]
    assert server.requests[0].headers["authorization"] == f"Bearer {API_KEY.expose().decode()}"


@pytest.mark.parametrize("length", [None, 100])
async def test_a_body_that_the_app_breaks_off_is_never_taken_for_whole(length: int | None) -> None:
    server = _Server()
    broken = InvalidFieldError("body", "must be whole")
    async with asyncio.timeout(10), _upstream(server) as (upstream, _):
        with pytest.raises(InvalidFieldError) as caught:
            await _status(upstream, _request(StreamedBody(_pieces(b"half", broken), length)))
        await server.breaks.acquire()

    assert caught.value is broken
    assert server.bodies == []


async def test_a_base_url_that_is_not_the_operators_is_refused_before_anything_is_sent() -> None:
    server = _Server()
    async with _upstream(server) as (upstream, base_url):
        with pytest.raises(UpstreamNotAllowedError):
            await _status(upstream, _request(base_url=base_url.replace("/v1", "/v2")))
        assert server.requests == []

        assert await _status(upstream, _request(base_url=f"{base_url}/")) == 200


async def test_a_key_is_used_at_its_own_base_url() -> None:
    other = _Server()
    async with _upstream(other) as (_, other_url):
        server = _Server()
        async with _upstream(server, other_url) as (upstream, _):
            await _status(upstream, _request(base_url=other_url))

    assert (len(server.requests), len(other.requests)) == (0, 1)


async def test_a_redirect_is_not_followed() -> None:
    async def redirect(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": "/v1/elsewhere"}, text="taken")

    server = _Server(redirect)
    async with _upstream(server) as (upstream, _):
        assert await _status(upstream, _request()) == 307

    assert len(server.requests) == 1


async def test_a_name_that_leads_to_this_machine_is_an_outage_unless_allowed() -> None:
    server = _Server()
    async with _upstream(server) as (_, base_url):
        named = base_url.replace("127.0.0.1", "localhost")
        for allowed in (False, True):
            upstream = AiohttpUpstream(
                [named], None, max_connections=1, allows_private_addresses=allowed
            )
            await upstream.start()
            try:
                if allowed:
                    assert await _status(upstream, _request()) == 200
                else:
                    with pytest.raises(UpstreamUnavailableError):
                        await _status(upstream, _request())
            finally:
                await upstream.close()

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("content_type", "count"), [("text/event-stream; charset=utf-8", 1), ("application/json", 0)]
)
async def test_a_streamed_answer_counts_as_open_until_it_is_left(
    content_type: str, count: int
) -> None:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"data: 1\n\n", headers={"content-type": content_type})

    with measured_figures() as figures:
        async with (
            _upstream(_Server(answer)) as (upstream, _),
            upstream.send(_request(), API_KEY, 10.0),
        ):
            during = sum(figures.of("keyturn_streams_open").values())
        after = figures.of("keyturn_streams_open")

    assert (during, after) == (count, {})
