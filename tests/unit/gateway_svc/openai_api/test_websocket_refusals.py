"""Handshakes with OpenAI that come to nothing."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from aiohttp import web

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    UpstreamNotAllowedError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.headers import header
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from gateway_svc.openai_api.websocket_upstream import WebSocketUpstream
from tests.unit.gateway_svc.openai_api.live_openai import KEY, OpenAI, echo, openai_with, serving

_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"


async def test_a_refused_handshake_tells_openais_answer() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=403, text='{"error":{}}', headers={"x-request-id": "req-1"})

    async with openai_with(refuse) as openai:
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

    async with openai_with(refuse) as openai:
        with pytest.raises(UpstreamUnavailableError):
            await openai.connect().__aenter__()


async def test_a_redirect_is_not_followed() -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": "/elsewhere"})

    async with openai_with(redirect) as openai:
        with pytest.raises(UpstreamRefusedLiveError):
            await openai.connect().__aenter__()

        assert len(openai.requests) == 1


async def test_a_401_says_that_the_key_is_rejected() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, text="Incorrect API key")

    async with openai_with(refuse) as openai:
        with pytest.raises(KeyRejectedUpstreamError):
            await openai.connect().__aenter__()


async def test_a_handshake_that_takes_too_long_is_timed_out() -> None:
    async def wait(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with openai_with(wait) as openai:
        with pytest.raises(UpstreamTimedOutError):
            await openai.connect(timeout_seconds=0.05).__aenter__()


async def test_a_base_url_of_nobody_is_not_connected_to() -> None:
    async with openai_with(serving(echo)) as openai:
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
    assert KEY not in "".join(traceback.TracebackException.from_exception(error.value).format())


async def test_a_server_that_hangs_up_is_an_outage() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with openai_with(hang_up) as openai:
        with pytest.raises(UpstreamUnavailableError):
            await openai.connect().__aenter__()

        assert len(openai.requests) == 1
