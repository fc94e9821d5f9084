"""A server in OpenAI's place whose WebSockets a test scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import web

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.live_ports import LiveSide
from gateway_svc.domain.upstream_ports import UpstreamRequest
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from gateway_svc.openai_api.websocket_upstream import WebSocketUpstream
from svc_runtime.secret_bytes import SecretBytes

KEY = "sk-proj-live-canary-0123456789"

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
        key = SecretBytes(KEY.encode())
        return self._upstream.connect(request, subprotocols, key, timeout_seconds)


@asynccontextmanager
async def openai_with(handler: Handler) -> AsyncIterator[OpenAI]:
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


def serving(session: Session, *, protocols: tuple[str, ...] = ()) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=protocols, autoclose=False)
        socket.headers["x-request-id"] = "req-live"
        await socket.prepare(request)
        await session(socket)
        return socket

    return handler


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is web.WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
