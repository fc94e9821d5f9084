"""A port whose gRPC server is built anew when it breaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import grpc
import structlog

from svc_runtime.interceptors.calls_under_way import cut_calls
from svc_runtime.port_sockets import connection_count, require_descriptors, stop_listening

_log = structlog.get_logger()

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_CALM_SECONDS: Final = 60.0  # after which a server counts as sound, and the pauses begin anew
_MAX_TRIES: Final = 10
_LOOK_SECONDS: Final = 0.25  # how often a server is asked whether it broke
_RETIRE_SECONDS: Final = 3600.0  # for the calls of a broken server; all have a shorter deadline
_CUT_SECONDS: Final = 2.0  # for calls that are cut, to tell their callers so

BuildServer: TypeAlias = Callable[[str], tuple[grpc.aio.Server, int]]
"""Takes `host:port`; returns a server that is bound but not started, and its port."""


class ServerBrokeError(Exception):
    """A port cannot be served any more. The process must end, so that it is started anew."""


class ServingPort:
    """Serves one port for as long as the process wants it.

    A server of grpc.aio ends by itself at a method name that is not UTF-8, whoever sends it and
    before any interceptor runs. Nothing else has to: its calls in flight go on to their end, other
    ports serve on, and a new server takes the place of the broken one on the same port.
    """

    def __init__(self, build: BuildServer, address: str) -> None:
        """Serve at *address*, `host:port`; port 0 takes a free one and keeps it."""
        self._build = build
        self._address = address
        self._servers: list[grpc.aio.Server] = []  # the last serves, the others end their calls
        self._retiring: set[asyncio.Task[None]] = set()
        self._port = 0
        self._is_told_to_stop = asyncio.Event()
        self._changing = asyncio.Lock()
        self._supervision: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Begin to serve; return the port.

        Raises:
            RuntimeError: The address cannot be bound.
            StartError: The port could not stop without losing calls.
        """
        require_descriptors()
        server, self._port = self._build(self._address)
        self._address = f"{self._address.rpartition(':')[0]}:{self._port}"
        await server.start()
        self._servers.append(server)
        self._supervision = asyncio.create_task(self._supervise(server))
        return self._port

    async def stop(self, grace_seconds: float) -> None:
        """Take no further connections, and serve those that there are until they have ended.

        Each ends by its age (`Listener.connection_seconds`), which loses no call. Calls that have
        not ended after *grace_seconds* are cut, by `ServiceStoppingError`; 0 cuts them at once.
        """
        self._is_told_to_stop.set()
        async with self._changing:
            servers = tuple(self._servers)
        if servers:
            stop_listening(self._port)
            await self._until_alone(grace_seconds)
        stops = [
            asyncio.create_task(server.stop(_CUT_SECONDS if cut_calls(server) else 0.0))
            for server in servers
        ]
        waited_for = {*stops, *self._retiring}
        if self._supervision is not None:
            waited_for.add(self._supervision)
        if waited_for:
            await asyncio.wait(waited_for)

    async def _until_alone(self, within_seconds: float) -> None:
        """Wait until nobody is connected any more, for at most *within_seconds*."""
        give_up = time.monotonic() + within_seconds
        while connection_count(self._port) and (left := give_up - time.monotonic()) > 0:  # noqa: ASYNC110 - gRPC tells nobody when a connection ends
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def until_broken(self) -> None:
        """Return when the port is stopped.

        Raises:
            ServerBrokeError: The port broke, and cannot be bound any more.
        """
        if self._supervision is not None:
            await asyncio.shield(self._supervision)

    async def _supervise(self, server: grpc.aio.Server) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            cause = await self._end_of(server)
            if self._is_told_to_stop.is_set():
                return
            if time.monotonic() - started >= _CALM_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._retire(server)
            for _ in range(_MAX_TRIES):
                if await self._is_stopped_within(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                successor = await self._successor()
                if successor is not None:
                    break
            else:
                _log.critical("server_lost", port=self._port, cause=cause)
                raise ServerBrokeError
            server = successor
            _log.error("server_rebuilt", port=self._port, cause=cause)

    async def _end_of(self, server: grpc.aio.Server) -> str:
        """Wait until *server* serves no more; return the type of what ended it."""
        while not self._is_told_to_stop.is_set():
            try:
                # Asked again and again: without a time-out it waits for the calls in flight, too.
                if not await server.wait_for_termination(timeout=_LOOK_SECONDS):
                    break
            except Exception as error:  # noqa: BLE001 - whatever it is, the server is gone
                return type(error).__name__
        return ""

    def _retire(self, server: grpc.aio.Server) -> None:
        async def end_calls() -> None:
            await server.stop(_RETIRE_SECONDS)
            self._servers.remove(server)

        task = asyncio.create_task(end_calls())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _is_stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._is_told_to_stop.wait()
        except TimeoutError:
            return False
        return True

    async def _successor(self) -> grpc.aio.Server | None:
        """Return a new server on the port, which serves; None if there cannot be one now."""
        async with self._changing:
            if self._is_told_to_stop.is_set():
                return None
            try:
                server, _ = self._build(self._address)
            except RuntimeError:
                return None
            await server.start()
            self._servers.append(server)
            return server
