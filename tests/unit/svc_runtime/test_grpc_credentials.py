from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from svc_runtime.grpc_credentials import mtls_server_credentials, tls_server_credentials
from svc_runtime.tls_files import TLSFilesWatcher
from tests.certs import Authority, Pair, replace, serial_of, write
from tests.fakes.fake_clock import FakeClock

METHOD = "/test.Peer/Serial"
APP = "spiffe://example.org/app/billing"
MakeCredentials = Callable[[TLSFilesWatcher], grpc.ServerCredentials]

Context = Any  # grpc.aio.ServicerContext, which only its stub makes generic


@pytest.fixture(name="ca")
def _ca() -> Authority:
    return Authority()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="watcher")
def _watcher(tmp_path: Path, ca: Authority, clock: FakeClock) -> TLSFilesWatcher:
    return TLSFilesWatcher(write(tmp_path, ca.server(), ca.pem), clock)


async def _tell_peer(_request: bytes, context: Context) -> bytes:
    """Return the client's certificate, empty for none."""
    return b"".join(context.auth_context().get("x509_pem_cert", ()))


@asynccontextmanager
async def _serving(credentials: grpc.ServerCredentials) -> AsyncIterator[int]:
    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(_tell_peer)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test.Peer", {"Serial": handler})]
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@asynccontextmanager
async def _channel(
    port: int, ca: bytes, client: Pair | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    credentials = grpc.ssl_channel_credentials(
        ca, client.key if client else None, client.certificate if client else None
    )
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    target = f"localhost:{port}"
    async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
        yield channel


async def _call(channel: grpc.aio.Channel) -> bytes:
    return bytes(await channel.unary_unary(METHOD, bytes, bytes)(b"", timeout=20))


def _served_serial(port: int) -> int:
    return serial_of(ssl.get_server_certificate(("127.0.0.1", port)).encode())


async def test_a_client_with_a_certificate_of_the_ca_is_let_in(
    watcher: TLSFilesWatcher, ca: Authority
) -> None:
    client = ca.issue(uris=[APP])
    async with (
        _serving(mtls_server_credentials(watcher)) as port,
        _channel(port, ca.pem, client) as channel,
    ):
        assert serial_of(await _call(channel)) == client.serial


async def test_a_client_without_a_certificate_is_not_let_in(
    watcher: TLSFilesWatcher, ca: Authority
) -> None:
    async with (
        _serving(mtls_server_credentials(watcher)) as port,
        _channel(port, ca.pem) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _call(channel)

    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_client_with_a_certificate_of_another_ca_is_not_let_in(
    watcher: TLSFilesWatcher, ca: Authority
) -> None:
    async with (
        _serving(mtls_server_credentials(watcher)) as port,
        _channel(port, ca.pem, Authority().issue(uris=[APP])) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _call(channel)

    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_listener_for_tokens_asks_for_no_certificate(
    watcher: TLSFilesWatcher, ca: Authority
) -> None:
    async with (
        _serving(tls_server_credentials(watcher)) as port,
        _channel(port, ca.pem) as channel,
    ):
        assert await _call(channel) == b""


@pytest.mark.parametrize("make", [mtls_server_credentials, tls_server_credentials])
async def test_connections_live_on_when_the_certificate_changes(
    watcher: TLSFilesWatcher, ca: Authority, clock: FakeClock, tmp_path: Path, make: MakeCredentials
) -> None:
    async with (
        _serving(make(watcher)) as port,
        _channel(port, ca.pem, ca.issue(uris=[APP])) as before,
        _channel(port, ca.pem, ca.issue(uris=[APP])) as after,
    ):
        await _call(before)
        write(tmp_path, ca.server(), ca.pem)
        clock.advance(1)

        await _call(after)
        await _call(before)


@pytest.mark.parametrize("make", [mtls_server_credentials, tls_server_credentials])
async def test_handshakes_after_a_change_show_the_new_certificate(
    watcher: TLSFilesWatcher, ca: Authority, clock: FakeClock, tmp_path: Path, make: MakeCredentials
) -> None:
    old, new = serial_of(watcher.current().certificate_chain), ca.server()
    async with _serving(make(watcher)) as port:
        first = await asyncio.to_thread(_served_serial, port)
        write(tmp_path, new, ca.pem)
        clock.advance(1)
        second = await asyncio.to_thread(_served_serial, port)

    assert (first, second) == (old, new.serial)


async def test_a_client_of_a_new_ca_is_let_in_and_one_of_the_old_ca_no_longer(
    watcher: TLSFilesWatcher, ca: Authority, clock: FakeClock
) -> None:
    other = Authority("the next CA")
    async with _serving(mtls_server_credentials(watcher)) as port:
        replace(watcher.files.ca, other.pem)
        clock.advance(1)
        async with _channel(port, ca.pem, other.issue(uris=[APP])) as channel:
            await _call(channel)
        async with _channel(port, ca.pem, ca.issue(uris=[APP])) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await _call(channel)


async def test_half_a_replacement_on_disk_does_not_reach_a_handshake(
    watcher: TLSFilesWatcher, ca: Authority, clock: FakeClock
) -> None:
    async with _serving(mtls_server_credentials(watcher)) as port:
        replace(watcher.files.key, ca.server().key)
        clock.advance(1)
        async with _channel(port, ca.pem, ca.issue(uris=[APP])) as channel:
            await _call(channel)
