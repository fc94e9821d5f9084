from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import grpc
import pytest

from svc_runtime.process import ServerBrokeError, until_told_to_stop


@pytest.fixture
async def server() -> AsyncIterator[grpc.aio.Server]:
    server = grpc.aio.server()
    server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture(autouse=True)
async def _restored_signals() -> AsyncIterator[None]:
    """Take away the handlers that the process would keep until its end."""
    yield
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_wait(server: grpc.aio.Server, number: signal.Signals) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, number)

    await until_told_to_stop([server])


async def test_a_server_that_stops_by_itself_ends_the_process(server: grpc.aio.Server) -> None:
    stopping = asyncio.create_task(server.stop(0))

    with pytest.raises(ServerBrokeError):
        await until_told_to_stop([server])

    await stopping


async def test_servers_stop_in_order_after_the_signal(server: grpc.aio.Server) -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
    await until_told_to_stop([server])

    await server.stop(1)

    has_timed_out = await server.wait_for_termination(timeout=10)
    assert not has_timed_out
