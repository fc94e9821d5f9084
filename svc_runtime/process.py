"""A service process: from its start to the signal that ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from svc_runtime.serving_port import ServingPort

_T = TypeVar("_T")

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stoppable(Protocol):
    """Something that serves calls."""

    async def stop(self, grace_seconds: float, /) -> None:
        """Let clients leave and calls end; cut those that have not after *grace_seconds*."""


def heed_sigterm() -> None:
    """Let SIGTERM break the process off as Ctrl-C does, by `KeyboardInterrupt`.

    It must not be left to the signal's own effect: on the first process of a container it has none.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


async def unless_told_to_stop(work: Coroutine[Any, Any, _T]) -> _T:
    """Do *work*; SIGTERM and SIGINT break it off, and what it has opened is closed.

    Work that waits by `until_told_to_stop` is told there instead, from then on.

    Raises:
        asyncio.CancelledError: The process was told to stop before *work* was done.
    """
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    return await task


async def until_told_to_stop(ports: Sequence[ServingPort]) -> None:
    """Return when the process gets SIGTERM or SIGINT.

    Raises:
        ServerBrokeError: One of *ports* broke for good.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, told.set)
    telling = asyncio.create_task(told.wait())
    breaking = [asyncio.create_task(port.until_broken()) for port in ports]
    done, waiting = await asyncio.wait({telling, *breaking}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if telling not in done:
        for task in done:
            task.result()


async def stop_together(servers: Sequence[Stoppable], grace_seconds: float) -> None:
    """Stop *servers* at the same time, so that each has all of *grace_seconds*."""
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.stop(grace_seconds))
