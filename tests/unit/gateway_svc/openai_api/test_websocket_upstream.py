from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest
from aiohttp import ClientRequest, ClientResponse, web

from gateway_svc.domain.headers import header
from gateway_svc.domain.live_ports import LiveClose
from tests.unit.gateway_svc.openai_api.live_openai import KEY, echo, openai_with, serving

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


async def test_a_handshake_holds_the_key_and_what_it_is_given_and_nothing_else() -> None:
    async with (
        openai_with(serving(echo, protocols=("realtime",))) as openai,
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
        assert request.headers["authorization"] == f"Bearer {KEY}"
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
    async with openai_with(serving(echo)) as openai, openai.connect() as (side, subprotocol, _):
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

    async with openai_with(serving(session)) as openai, openai.connect() as (side, _, _):
        reported = await side.receive()
        await side.close(close)

        assert reported == close
        assert await answered.get() == close.code


async def test_the_gateways_close_reaches_openai_with_code_and_reason() -> None:
    closes: asyncio.Queue[tuple[object, object]] = asyncio.Queue()

    async def session(socket: web.WebSocketResponse) -> None:
        message = await socket.receive()
        closes.put_nowait((message.data, message.extra))

    async with openai_with(serving(session)) as openai:
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

    async with openai_with(serving(session)) as openai, openai.connect() as (side, _, _):
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

    async with openai_with(serving(session)) as openai:

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

    async with openai_with(serving(session)) as openai:
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

    async with openai_with(serving(session)) as openai, openai.connect() as (side, _, _):
        assert await side.receive() == LiveClose(1009)


async def test_no_request_or_answer_that_is_alive_holds_the_key() -> None:
    async with openai_with(serving(echo)) as openai, openai.connect() as (side, _, _):
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
    assert all(KEY not in headers for headers in held)
