"""What the stand-in has done so far, and the brake that tests hold it by."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web


@dataclass(slots=True)
class Progress:
    """Counts since the start or the last reset.

    Attributes:
        requests: Requests of the API that came in.
        open_requests: Those that are not finished.
        events: Events of streams that were written, of any kind of stream.
        bytes_written: Bytes of answers that were written, as they left.
        aborted: Requests whose client was gone before their end.
    """

    requests: int = 0
    open_requests: int = 0
    events: int = 0
    bytes_written: int = 0
    aborted: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)

    def reset(self) -> None:
        """Count from zero again, but for the requests that are open."""
        self.requests = self.events = self.bytes_written = self.aborted = 0


class Pace:
    """Lets events of paced streams go, one by one."""

    def __init__(self) -> None:
        """Start with nothing released."""
        self._released = 0
        self._waiting: deque[asyncio.Event] = deque()

    async def turn(self) -> None:
        """Wait until the next event may go; streams that wait are served in turn."""
        if self._released:
            self._released -= 1
            return
        turn = asyncio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except asyncio.CancelledError:
            if turn.is_set():
                self.release(1)  # The turn goes to the next stream.
            else:
                self._waiting.remove(turn)
            raise

    def release(self, events: int) -> None:
        """Let so many *events* go, now or when a stream has them."""
        for _ in range(events):
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._released += 1

    def reset(self) -> None:
        """Forget releases that nobody waited for; those who wait go on waiting."""
        self._released = 0


PROGRESS: Final[web.AppKey[Progress]] = web.AppKey("progress")
PACE: Final[web.AppKey[Pace]] = web.AppKey("pace")
