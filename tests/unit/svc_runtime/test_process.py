from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import grpc
import pytest

from svc_runtime import serving_port
from svc_runtime.process import (
    heed_sigterm,
    stop_together,
    unless_told_to_stop,
    until_told_to_stop,
)
from svc_runtime.serving_port import ServerBrokeError, ServingPort


def _build(address: str) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    return server, server.add_secure_port(address, grpc.local_server_credentials())


@pytest.fixture(autouse=True)
async def _restored_signals() -> AsyncIterator[None]:
    """Take away the handlers that the process would keep until its end."""
    yield
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    port = ServingPort(_build, "127.0.0.1:0")
    await port.start()
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)

    await until_told_to_stop([port])

    await port.stop(0)


async def test_a_port_that_is_lost_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_port, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(serving_port, "_LONGEST_PAUSE_SECONDS", 0.001)
    servers: list[grpc.aio.Server] = []

    def build_once(address: str) -> tuple[grpc.aio.Server, int]:
        if servers:
            raise RuntimeError("the address is taken")
        server, number = _build(address)
        servers.append(server)
        return server, number

    port = ServingPort(build_once, "127.0.0.1:0")
    await port.start()
    await servers[0].stop(0)

    with pytest.raises(ServerBrokeError):
        await until_told_to_stop([port])


class _Draining:
    """Something that drains until another one has begun to."""

    def __init__(self, begun: asyncio.Barrier) -> None:
        self._begun = begun
        self.grace_seconds = 0.0

    async def stop(self, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        await self._begun.wait()


async def test_servers_drain_at_the_same_time() -> None:
    begun = asyncio.Barrier(2)
    servers = [_Draining(begun), _Draining(begun)]

    await stop_together(servers, 7.0)

    assert [server.grace_seconds for server in servers] == [7.0, 7.0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_breaks_work_off_and_what_it_opened_is_closed(
    number: signal.Signals,
) -> None:
    closed = asyncio.Event()

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await asyncio.Event().wait()
        finally:
            closed.set()

    with pytest.raises(asyncio.CancelledError):
        await unless_told_to_stop(work())

    assert closed.is_set()


async def test_work_that_is_done_brings_its_result() -> None:
    async def work() -> int:
        return 7

    assert await unless_told_to_stop(work()) == 7


async def test_work_that_drains_is_told_and_not_broken_off() -> None:
    port = ServingPort(_build, "127.0.0.1:0")

    async def work() -> str:
        await port.start()
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        await until_told_to_stop([port])
        await port.stop(0)
        return "drained"

    assert await unless_told_to_stop(work()) == "drained"


def test_sigterm_is_heeded_as_ctrl_c_is() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heed_sigterm()

    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
