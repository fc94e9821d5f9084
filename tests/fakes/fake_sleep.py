"""A sleep that a test ends by hand."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class FakeSleep:
    """Lets no time pass until it is told to."""

    def __init__(self) -> None:
        self._sleepers: defaultdict[float, asyncio.Queue[asyncio.Event]] = defaultdict(
            asyncio.Queue
        )

    async def __call__(self, seconds: float) -> None:
        """Sleep until `end(seconds)`."""
        over = asyncio.Event()
        self._sleepers[seconds].put_nowait(over)
        await over.wait()

    async def end(self, seconds: float) -> None:
        """Wait until somebody sleeps for *seconds*, and wake them."""
        over = await self._sleepers[seconds].get()
        over.set()
