"""A TCP relay that stands before a real server and takes its outages on itself."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from keyturn_cli.local.free_ports import free_ports


class TcpRelay:
    """Relays one free port of 127.0.0.1 to *target_port*; down until `open`.

    Down, its port refuses connections, as that of a stopped server does. Frozen, it accepts them
    and answers nothing, as a stopped (SIGSTOP) server or a network that drops packets does. Its
    answers can be held alone, which the server knows nothing of.

    Attributes:
        port: Where it listens.
        lost: How many answers were lost.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._are_answers_free = asyncio.Event()
        self._are_answers_free.set()
        self._is_next_answer_lost = False
        self.lost = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted: set[asyncio.StreamWriter] = set()
        (self.port,) = free_ports(1)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        for writer in self._accepted:  # a task that never began has closed nothing
            writer.transport.abort()
        self._accepted.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def hold_answers(self) -> None:
        self._are_answers_free.clear()

    def release_answers(self) -> None:
        self._are_answers_free.set()

    def lose_next_answer(self) -> None:
        """Cut the connection at the next answer, once the server has begun to send it."""
        self._is_next_answer_lost = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shut()

    def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        self._accepted.add(writer)
        task = asyncio.create_task(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._accepted.discard, writer)
            stack.callback(writer.transport.abort)
            target_reader, target_writer = await asyncio.open_connection(
                "127.0.0.1", self._target_port
            )
            stack.callback(target_writer.transport.abort)
            pumps = [
                asyncio.create_task(self._pump(reader, target_writer)),
                asyncio.create_task(self._pump(target_reader, writer, is_answer=True)),
            ]
            for pump in pumps:
                stack.callback(pump.cancel)
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                await self._thawed.wait()
                if is_answer:
                    await self._are_answers_free.wait()
                if is_answer and self._is_next_answer_lost:
                    self._is_next_answer_lost = False
                    self.lost += 1
                    return
                writer.write(chunk)
                await writer.drain()
