"""A service process: from its start to the signal that ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Protocol

from svc_runtime.serving_port import ServingPort


class Stoppable(Protocol):
    """Something that serves calls."""

    async def stop(self, grace_seconds: float, /) -> None:
        """Refuse new calls at once, and give those in flight *grace_seconds* to end."""


async def until_told_to_stop(ports: Sequence[ServingPort]) -> None:
    """Return when the process gets SIGTERM or SIGINT.

    Raises:
        ServerBrokeError: One of *ports* broke for good.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
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
    """Stop *servers* at the same time: none takes new calls while another one drains."""
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.stop(grace_seconds))
