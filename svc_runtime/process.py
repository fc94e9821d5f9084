"""A service process: from its start to the signal that ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

import grpc


class ServerBrokeError(Exception):
    """A server stopped by itself. The process must end, so that it is started anew."""


async def until_told_to_stop(servers: Sequence[grpc.aio.Server]) -> None:
    """Return when the process gets SIGTERM or SIGINT.

    Raises:
        ServerBrokeError: One of *servers* has stopped by itself. grpc.aio does so, silently, at a
            method name that is not UTF-8: without this the process would live on, deaf.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    telling = asyncio.create_task(told.wait())
    breaking = [asyncio.create_task(server.wait_for_termination()) for server in servers]
    await asyncio.wait({telling, *breaking}, return_when=asyncio.FIRST_COMPLETED)
    # Only this one is cancelled: to cancel a wait for a server's end breaks its orderly stop.
    if not telling.done():
        telling.cancel()
        raise ServerBrokeError
