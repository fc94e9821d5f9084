"""A way to a server on which an answer gets lost when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class AnswerLoss:
    """Relays a free port of 127.0.0.1 to *target_port*, byte for byte, under the TLS.

    Attributes:
        lost: How many answers were lost.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._is_next_lost = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.lost = 0

    def lose_next(self) -> None:
        """Cut the connection at the next answer, once the server has begun to send it."""
        self._is_next_lost = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        for writer in self._accepted:  # a task that never began has closed nothing
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        self._accepted.add(writer)
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, there = await asyncio.open_connection("127.0.0.1", self._target_port)
        except BaseException:
            self._drop(writer)
            raise
        pumps = {
            asyncio.create_task(self._requests(reader, there)),
            asyncio.create_task(self._answers(answers, writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._drop(writer)
            there.transport.abort()

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._accepted.discard(writer)
        writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                if self._is_next_lost:
                    self._is_next_lost = False
                    self.lost += 1
                    return
                writer.write(chunk)
                await writer.drain()
