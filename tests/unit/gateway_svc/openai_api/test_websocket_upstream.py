from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest
from aiohttp import ClientRequest, ClientResponse, web

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    UpstreamNotAllowedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.headers import Headers, header
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.ports import LiveClose, LiveSide, UpstreamRequest
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from gateway_svc.openai_api.websocket_upstream import WebSocketUpstream
from svc_runtime.secret_bytes import SecretBytes

_KEY = "sk-proj-live-canary-0123456789"
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Session = Callable[[web.WebSocketResponse], Awaitable[None]]


class OpenAI:
    """A server in OpenAI's place, and the gateway's way to it."""

    def __init__(self, base_url: str, upstream: WebSocketUpstream) -> None:
        self.base_url = base_url
        self.requests: list[web.Request] = []
        self._upstream = upstream

    def connect(
        self,
        *,
        subprotocols: tuple[str, ...] = (),
        headers: Headers = (),
        base_url: str = "",
        timeout_seconds: float = 10.0,
    ) -> AbstractAsyncContextManager[tuple[LiveSide, str, Headers]]:
        endpoint = Endpoint.parse("realtime")
        request = UpstreamRequest("GET", endpoint, "model=gpt-x&a%5B%5D=1", headers, b"", base_url)
        key = SecretBytes(_KEY.encode())
        return self._upstream.connect(request, subprotocols, key, timeout_seconds)


@asynccontextmanager
async def _openai(handler: Handler) -> AsyncIterator[OpenAI]:
    async def remember(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        openai.requests.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", remember)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    hosts = AiohttpUpstream([base_url], None, max_connections=4, allows_private_addresses=True)
    openai = OpenAI(base_url, WebSocketUpstream(hosts))
    await hosts.start()
    try:
        yield openai
    finally:
        await hosts.close()
        await runner.cleanup()


def _serving(session: Session, *, protocols: tuple[str, ...] = ()) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=protocols, autoclose=False)
        socket.headers["x-request-id"] = "req-live"
        await socket.prepare(request)
        await session(socket)
        return socket

    return handler


async def _echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is web.WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)


async def test_a_handshake_holds_the_key_and_what_it_is_given_and_nothing_else() -> None:
    async with (
        _openai(_serving(_echo, protocols=("realtime",))) as openai,
        openai.connect(
            subprotocols=("realtime", "openai-beta.realtime-v1"),
            headers=(("openai-beta", "realtime=v1"), ("user-agent", "app/1")),
        ) as (_, subprotocol, headers),
    ):
        (request,) = openai.requests
        names = sorted(name.lower() for name in request.headers)

        assert subprotocol == "realtime"
        assert header(headers, "x-request-id") == "req-live"
        assert request.raw_path == "/v1/realtime?model=gpt-x&a%5B%5D=1"
        assert request.headers["authorization"] == f"Bearer {_KEY}"
        assert request.headers["sec-websocket-protocol"] == "realtime,openai-beta.realtime-v1"
        assert names == [
            "authorization",
            "connection",
            "host",
            "openai-beta",
            "sec-websocket-key",
            "sec-websocket-protocol",
            "sec-websocket-version",
            "upgrade",
            "user-agent",
        ]


async def test_messages_pass_both_ways() -> None:
    async with _openai(_serving(_echo)) as openai, openai.connect() as (side, subprotocol, _):
        received = []
        for message in ("text \u00e4", b"\x00\xff", "", "x" * 100_000):
            await side.send(message)
            received.append(await side.receive())

    assert subprotocol == ""
    assert received == ["text \u00e4", b"\x00\xff", "", "x" * 100_000]


@pytest.mark.parametrize("close", [LiveClose(3000, "x.invalid_api_key"), LiveClose(1000)])
async def test_openais_close_is_reported_and_answered_in_kind(close: LiveClose) -> None:
    answered: asyncio.Queue[int | None] = asyncio.Queue()

    async def session(socket: web.WebSocketResponse) -> None:
        await socket.close(code=close.code, message=close.reason.encode())
        answered.put_nowait(socket.close_code)

    async with _openai(_serving(session)) as openai, openai.connect() as (side, _, _):
        reported = await side.receive()
        await side.close(close)

        assert reported == close
        assert await answered.get() == close.code


async def test_the_gateways_close_reaches_openai_with_code_and_reason() -> None:
    closes: asyncio.Queue[tuple[object, object]] = asyncio.Queue()

    async def session(socket: web.WebSocketResponse) -> None:
        message = await socket.receive()
        closes.put_nowait((message.data, message.extra))

    async with _openai(_serving(session)) as openai:
        async with openai.connect() as (side, _, _):
            await side.close(LiveClose(4001, "own"))
            await side.close(LiveClose(1000))  # is harmless

        assert await closes.get() == (4001, "own")


async def test_a_connection_that_breaks_is_a_close() -> None:
    async def session(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        transport = socket.get_extra_info("socket")
        assert transport is not None
        transport.shutdown(2)

    async with _openai(_serving(session)) as openai, openai.connect() as (side, _, _):
        await side.send("break")
        reported = await side.receive()
        await side.send("nobody hears this")
        again = await side.receive()
        await side.close(LiveClose(1000))

    assert reported == again == LiveClose(1006)


async def test_leaving_cuts_the_connection_of_a_server_that_does_not_close() -> None:
    gone = asyncio.Event()
    entered = asyncio.Event()

    async def session(socket: web.WebSocketResponse) -> None:
        message = await socket.receive()
        if message.type is not web.WSMsgType.TEXT:
            gone.set()

    async with _openai(_serving(session)) as openai:

        async def call() -> None:
            async with openai.connect() as (side, _, _):
                entered.set()
                await side.receive()

        task = asyncio.create_task(call())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await gone.wait()


async def test_leaving_cuts_the_connection_of_a_server_that_does_not_read() -> None:
    is_left = asyncio.Event()

    async def session(_: web.WebSocketResponse) -> None:
        await is_left.wait()

    async with _openai(_serving(session)) as openai:
        async with openai.connect() as (side, _, _):
            before = asyncio.all_tasks()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    while True:
                        await side.send(bytes(1024 * 1024))
            await side.close(LiveClose(1000))
            (sending,) = asyncio.all_tasks() - before
        await asyncio.gather(sending, return_exceptions=True)
        is_left.set()


async def test_a_message_that_is_too_large_is_a_close() -> None:
    async def session(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(bytes(_MAX_MESSAGE_BYTES))
        await socket.receive()

    async with _openai(_serving(session)) as openai, openai.connect() as (side, _, _):
        assert await side.receive() == LiveClose(1009)


async def test_a_refused_handshake_tells_openais_answer() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=403, text='{"error":{}}', headers={"x-request-id": "req-1"})

    async with _openai(refuse) as openai:
        with pytest.raises(UpstreamRefusedLiveError) as refusal:
            await openai.connect().__aenter__()

    assert refusal.value.status == 403
    assert refusal.value.body == b'{"error":{}}'
    assert header(refusal.value.headers, "x-request-id") == "req-1"


@pytest.mark.parametrize(
    ("body", "headers"),
    [("x" * 70_000, {}), ("{}", {"content-encoding": "br"})],
    ids=["too large", "encoded"],
)
async def test_a_refusal_that_cannot_be_read_is_an_outage(
    body: str, headers: dict[str, str]
) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text=body, headers=headers)

    async with _openai(refuse) as openai:
        with pytest.raises(UpstreamUnavailableError):
            await openai.connect().__aenter__()


async def test_a_redirect_is_not_followed() -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": "/elsewhere"})

    async with _openai(redirect) as openai:
        with pytest.raises(UpstreamRefusedLiveError):
            await openai.connect().__aenter__()

        assert len(openai.requests) == 1


async def test_a_401_says_that_the_key_is_rejected() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, text="Incorrect API key")

    async with _openai(refuse) as openai:
        with pytest.raises(KeyRejectedUpstreamError):
            await openai.connect().__aenter__()


async def test_a_handshake_that_takes_too_long_is_timed_out() -> None:
    async def wait(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with _openai(wait) as openai:
        with pytest.raises(UpstreamTimedOutError):
            await openai.connect(timeout_seconds=0.05).__aenter__()


async def test_a_base_url_of_nobody_is_not_connected_to() -> None:
    async with _openai(_serving(_echo)) as openai:
        with pytest.raises(UpstreamNotAllowedError):
            await openai.connect(base_url="http://127.0.0.1:1/v1").__aenter__()

        assert openai.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        _SWITCH + b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: A\r\n\r\n",
        _SWITCH + b"\r\n",
        b"SSH-2.0-x\r\n\r\n",
    ],
    ids=["wrong accept", "no upgrade", "no http"],
)
async def test_what_is_no_websocket_server_is_an_outage_whose_error_holds_no_key(
    answer: bytes,
) -> None:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    hosts = AiohttpUpstream([base_url], None, max_connections=4, allows_private_addresses=True)
    await hosts.start()
    try:
        with pytest.raises(UpstreamUnavailableError) as error:
            await OpenAI(base_url, WebSocketUpstream(hosts)).connect().__aenter__()
    finally:
        await hosts.close()
        await served.wait()
        server.close()
        await server.wait_closed()

    assert error.value.__cause__ is None
    assert error.value.__context__ is None
    assert _KEY not in "".join(traceback.TracebackException.from_exception(error.value).format())


async def test_a_server_that_hangs_up_is_an_outage() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with _openai(hang_up) as openai:
        with pytest.raises(UpstreamUnavailableError):
            await openai.connect().__aenter__()

        assert len(openai.requests) == 1


async def test_no_request_or_answer_that_is_alive_holds_the_key() -> None:
    async with _openai(_serving(_echo)) as openai, openai.connect() as (side, _, _):
        await side.send("x")
        await side.receive()
        openai.requests.clear()
        held = [
            str(headers)
            for item in gc.get_objects()
            if isinstance(item, ClientRequest | ClientResponse)
            for headers in (
                item.headers if isinstance(item, ClientRequest) else item.request_info.headers,
            )
        ]

    assert held
    assert all(_KEY not in headers for headers in held)
