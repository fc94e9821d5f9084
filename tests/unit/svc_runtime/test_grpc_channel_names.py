"""A channel to a name that has several addresses, which change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc

from svc_runtime.clock import SystemClock
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.tls_files import TLSFilesWatcher
from tests.certs import Authority, write
from tests.name_server import NameServer

_NAME: Final = "keyvault-svc"
_FIRST, _SECOND = "127.0.0.1", "127.0.0.2"


@asynccontextmanager
async def _replica(ca: Authority, address: str, port: int = 0) -> AsyncIterator[int]:
    """Serve `/test.Peer/Address` there, with connections that end soon; yield the port."""

    async def tell(_request: bytes, _context: Any) -> bytes:  # noqa: ANN401 - only its stub is generic
        return address.encode()

    pair = ca.issue(dns=[_NAME])
    server = grpc.aio.server(options=[("grpc.max_connection_age_ms", 300)])
    handlers: dict[str, Any] = {"Address": grpc.unary_unary_rpc_method_handler(tell)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Peer", handlers)])
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)], ca.pem, True)  # noqa: FBT003 - gRPC's
    port = server.add_secure_port(f"{address}:{port}", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def _until_answered_by(channel: ReloadingChannel, addresses: set[str]) -> None:
    """Call until the latest calls were answered by all of *addresses* and by nobody else."""
    latest: list[str] = []
    async with asyncio.timeout(20):
        while set(latest[-10:]) != addresses or len(latest) < len(addresses):
            call = channel.channel().unary_unary("/test.Peer/Address", bytes, bytes)
            latest.append((await call(b"", timeout=20)).decode())


async def test_replicas_that_come_and_go_are_followed_without_a_failed_call(tmp_path: Path) -> None:
    ca, addresses = Authority(), [_FIRST]
    watcher = TLSFilesWatcher(write(tmp_path, ca.issue(uris=[]), ca.pem), SystemClock())
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(_replica(ca, _FIRST))
        names = await stack.enter_async_context(NameServer(lambda _: addresses))
        target = f"dns://127.0.0.1:{names.port}/{_NAME}.test:{port}"
        channel = ReloadingChannel(target, watcher, server_name=_NAME)
        stack.push_async_callback(channel.close)
        await _until_answered_by(channel, {_FIRST})

        await stack.enter_async_context(_replica(ca, _SECOND, port))
        addresses.append(_SECOND)
        await _until_answered_by(channel, {_FIRST, _SECOND})

        addresses.remove(_FIRST)
        await _until_answered_by(channel, {_SECOND})
