from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.tls_files import TLSFilesWatcher
from tests.certs import Authority, serial_of, write
from tests.fakes.fake_clock import FakeClock

GATEWAY = "spiffe://example.org/gateway"
SERVER_NAME = "keyvault-svc"
Context = Any  # grpc.aio.ServicerContext, which only its stub makes generic


@dataclass
class _Server:
    """Tells each caller the serial of its certificate; `/test.Peer/Held` waits for `release`."""

    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    is_cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, _request: bytes, context: Context) -> bytes:
        pem = b"".join(context.auth_context()["x509_pem_cert"])
        return str(serial_of(pem)).encode()

    async def hold(self, request: bytes, context: Context) -> bytes:
        self.arrived.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.is_cancelled.set()
            raise
        return await self.tell(request, context)


@asynccontextmanager
async def _serving(ca: Authority, name: str = SERVER_NAME, port: int = 0) -> AsyncIterator[_Server]:
    served, pair = _Server(), ca.issue(dns=[name])
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "Serial": grpc.unary_unary_rpc_method_handler(served.tell),
        "Held": grpc.unary_unary_rpc_method_handler(served.hold),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Peer", handlers)])
    credentials = grpc.ssl_server_credentials(
        [(pair.key, pair.certificate)], ca.pem, require_client_auth=True
    )
    served.port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    await server.start()
    try:
        yield served
    finally:
        await server.stop(0)


@asynccontextmanager
async def _connected(port: int, watcher: TLSFilesWatcher) -> AsyncIterator[ReloadingChannel]:
    channel = ReloadingChannel(f"ipv4:127.0.0.1:{port}", watcher, server_name=SERVER_NAME)
    try:
        yield channel
    finally:
        await channel.close()


@pytest.fixture(name="ca")
def _ca() -> Authority:
    return Authority()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="watcher")
def _watcher(tmp_path: Path, ca: Authority, clock: FakeClock) -> TLSFilesWatcher:
    return TLSFilesWatcher(write(tmp_path, ca.issue(uris=[GATEWAY]), ca.pem), clock)


def _start(channel: ReloadingChannel, method: str) -> Any:  # noqa: ANN401 - only the stub has a type
    return channel.channel().unary_unary(f"/test.Peer/{method}", bytes, bytes)(b"", timeout=20)


async def _serial(channel: ReloadingChannel) -> int:
    return int(await _start(channel, "Serial"))


async def test_calls_share_one_channel_while_the_files_stay(
    ca: Authority, watcher: TLSFilesWatcher, clock: FakeClock
) -> None:
    async with _serving(ca) as server, _connected(server.port, watcher) as channel:
        first = channel.channel()
        await _serial(channel)
        clock.advance(60)

        assert channel.channel() is first


async def test_calls_after_a_change_show_the_new_certificate(
    ca: Authority, watcher: TLSFilesWatcher, clock: FakeClock, tmp_path: Path
) -> None:
    old, new = serial_of(watcher.current().certificate_chain), ca.issue(uris=[GATEWAY])
    async with _serving(ca) as server, _connected(server.port, watcher) as channel:
        before = await _serial(channel)
        write(tmp_path, new, ca.pem)
        clock.advance(1)
        after = await _serial(channel)

    assert (before, after) == (old, new.serial)


async def test_a_call_in_flight_outlives_the_change_of_the_certificate(
    ca: Authority, watcher: TLSFilesWatcher, clock: FakeClock, tmp_path: Path
) -> None:
    old, new = serial_of(watcher.current().certificate_chain), ca.issue(uris=[GATEWAY])
    async with _serving(ca) as server, _connected(server.port, watcher) as channel:
        held = _start(channel, "Held")
        await server.arrived.wait()
        write(tmp_path, new, ca.pem)
        clock.advance(1)
        after = await _serial(channel)
        server.release.set()

        assert (int(await held), after) == (old, new.serial)


async def test_a_close_ends_calls_on_a_replaced_channel_too(
    ca: Authority, watcher: TLSFilesWatcher, clock: FakeClock, tmp_path: Path
) -> None:
    async with _serving(ca) as server:
        async with _connected(server.port, watcher) as channel:
            held = _start(channel, "Held")
            await server.arrived.wait()
            write(tmp_path, ca.issue(uris=[GATEWAY]), ca.pem)
            clock.advance(1)
            await _serial(channel)
        with pytest.raises(asyncio.CancelledError):
            await held
        await server.is_cancelled.wait()


async def test_a_server_of_a_new_ca_is_trusted_after_the_change(
    watcher: TLSFilesWatcher, clock: FakeClock, tmp_path: Path
) -> None:
    other = Authority("the next CA")
    async with _serving(other) as server, _connected(server.port, watcher) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await _serial(channel)
        pair = other.issue(uris=[GATEWAY])
        write(tmp_path, pair, other.pem)
        clock.advance(1)

        assert await _serial(channel) == pair.serial


async def test_a_server_of_another_name_is_not_called(
    ca: Authority, watcher: TLSFilesWatcher
) -> None:
    async with _serving(ca, name="somebody") as server, _connected(server.port, watcher) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await _serial(channel)

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_comes_back_is_found_again(
    ca: Authority, watcher: TLSFilesWatcher
) -> None:
    async with _serving(ca) as gone:
        port = gone.port
    async with _connected(port, watcher) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await _serial(channel)
        async with _serving(ca, port=port):
            answer = await channel.channel().unary_unary("/test.Peer/Serial", bytes, bytes)(
                b"", timeout=20, wait_for_ready=True
            )

    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert int(answer) == serial_of(watcher.current().certificate_chain)
