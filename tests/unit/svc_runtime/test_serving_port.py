from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from svc_runtime import serving_port
from tests.unit.svc_runtime.echo_port import echo_port
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    Context,
    LogTape,
    call_kind,
    finish,
    method_of,
    recording,
    start,
)


@pytest.fixture(name="tape", autouse=True)
async def _tape(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LogTape]:
    monkeypatch.setattr(serving_port, "_FIRST_PAUSE_SECONDS", 0.01)
    with recording() as tape:
        yield tape


async def _break(number: int) -> None:
    """Send a method name that is not UTF-8, which ends a server of grpc.aio."""
    not_utf8: Any = b"/test.Echo/\xff"
    async with loopback_tls.channel_to(number) as channel:
        await finish(channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=20))


async def _served(number: int) -> None:
    """Call until the port is served."""
    async with asyncio.timeout(20):
        while True:
            async with loopback_tls.channel_to(number) as channel:
                reply = await call_kind(channel, "UnaryUnary")
            if reply.code == grpc.StatusCode.OK:
                return


async def test_a_broken_server_is_replaced_on_its_port(tape: LogTape) -> None:
    port = echo_port()
    number = await port.start()

    for _ in range(2):
        await _break(number)
        await _served(number)

    await port.stop(0)
    rebuilt = [event for event in tape.events if event["event"] == "server_rebuilt"]
    assert [(event["port"], event["cause"]) for event in rebuilt] == [
        (number, "UnicodeDecodeError")
    ] * 2


async def test_calls_in_flight_do_not_notice_that_a_server_broke(tape: LogTape) -> None:
    reached: asyncio.Queue[None] = asyncio.Queue()
    may_go = asyncio.Event()

    async def act(_context: Context) -> None:
        reached.put_nowait(None)
        await may_go.wait()

    broken, sound = echo_port(act), echo_port(act)
    numbers = [await broken.start(), await sound.start()]
    async with AsyncExitStack() as channels:
        calls = []
        for number in numbers:
            channel = await channels.enter_async_context(loopback_tls.channel_to(number))
            calls.append(start(channel, method_of("UnaryUnary")))
            await reached.get()
        await _break(numbers[0])
        serving_again = asyncio.create_task(_served(numbers[0]))
        await reached.get()  # a new call, while the old ones go on
        may_go.set()
        await serving_again
        replies = [await finish(call) for call in calls]

    assert [reply.code for reply in replies] == [grpc.StatusCode.OK] * 2
    assert [event["port"] for event in tape.events if event["event"] == "server_rebuilt"] == [
        numbers[0]
    ]
    await broken.stop(0)
    await sound.stop(0)


async def test_a_port_can_be_stopped_while_its_server_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving_port, "_FIRST_PAUSE_SECONDS", 600.0)
    port = echo_port()
    number = await port.start()
    await _break(number)

    async with asyncio.timeout(20):
        await port.stop(10)
        await port.until_broken()
