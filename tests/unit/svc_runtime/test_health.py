from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import (  # type: ignore[import-untyped]  # the package ships no types
    health_pb2,
    health_pb2_grpc,
)

from svc_runtime.health import HealthServer

SERVING, NOT_SERVING = 1, 2


@pytest.fixture(name="server")
async def _server() -> AsyncIterator[tuple[HealthServer, int]]:
    server = HealthServer("127.0.0.1:0")
    port = await server.start()
    yield server, port
    await server.stop()


async def _check(port: int, service: str) -> int:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        response = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=20)
    return int(response.status)


async def test_a_started_server_is_alive(server: tuple[HealthServer, int]) -> None:
    assert await _check(server[1], "") == SERVING


async def test_a_service_that_nobody_named_is_not_found(server: tuple[HealthServer, int]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _check(server[1], "test.Echo")

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_service_is_ready_when_it_says_so(server: tuple[HealthServer, int]) -> None:
    health, port = server

    await health.set_serving("test.Echo", is_serving=False)
    before = await _check(port, "test.Echo")
    await health.set_serving("test.Echo", is_serving=True)
    after = await _check(port, "test.Echo")

    assert (before, after) == (NOT_SERVING, SERVING)


async def test_a_draining_server_refuses_traffic_for_good(
    server: tuple[HealthServer, int],
) -> None:
    health, port = server
    await health.set_serving("test.Echo", is_serving=True)

    await health.drain()
    await health.drain()
    await health.set_serving("test.Echo", is_serving=True)

    assert [await _check(port, name) for name in ("", "test.Echo")] == [NOT_SERVING] * 2


async def test_a_watcher_hears_of_the_drain(server: tuple[HealthServer, int]) -> None:
    health, port = server
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service="")
        watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=20)
        first = await watch.read()
        await health.drain()
        second = await watch.read()
        watch.cancel()

    assert (first.status, second.status) == (SERVING, NOT_SERVING)


async def test_a_port_in_use_is_an_error(server: tuple[HealthServer, int]) -> None:
    with pytest.raises(RuntimeError, match="bind"):
        await HealthServer(f"127.0.0.1:{server[1]}").start()


async def test_stopping_what_never_started_is_harmless() -> None:
    await HealthServer("127.0.0.1:0").stop()


async def test_health_survives_a_malformed_method_name(server: tuple[HealthServer, int]) -> None:
    health, port = server
    await health.set_serving("test.Echo", is_serving=True)
    not_utf8: Any = b"/test.Echo/\xff"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=20)

    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        request = health_pb2.HealthCheckRequest(service="test.Echo")
        async with asyncio.timeout(20):
            response = await health_pb2_grpc.HealthStub(channel).Check(
                request, timeout=20, wait_for_ready=True
            )

    assert response.status == SERVING
