"""A TCP balancer that treats connections as kube-proxy does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Self


class Balancer:
    """Gives each new connection to one of *endpoints* in turn; those that exist stay there.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, endpoints: Sequence[str], port: int) -> None:
        """Lead to *port* of *endpoints*, which may change."""
        self.port = 0
        self._endpoints = endpoints
        self._target_port = port
        self._turns = itertools.count()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._endpoints[next(self._turns) % len(self._endpoints)]
        with contextlib.ExitStack() as closing:
            closing.callback(writer.close)
            with contextlib.suppress(ConnectionError):
                far_reader, far_writer = await asyncio.open_connection(address, self._target_port)
                closing.callback(far_writer.close)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and the end of it."""
    with contextlib.suppress(OSError):  # closed by either side, or not connected any more
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
