"""One side of a WebSocket, in memory."""

from __future__ import annotations

import asyncio

from gateway_svc.domain.live_ports import LiveClose


class FakeLiveSide:
    """`LiveSide` whose messages a test says, and that remembers what it was sent.

    Attributes:
        heard: What it was sent, for the test to take.
        room: Cleared to have no room for further messages.
        closed: What it was closed with; None while it is open.
        taken_count: How many messages were taken from it.
    """

    def __init__(self, *says: str | bytes | LiveClose) -> None:
        """Say *says* first."""
        self.heard: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.room = asyncio.Event()
        self.room.set()
        self.closed: LiveClose | None = None
        self.taken_count = 0
        self._says: asyncio.Queue[str | bytes | LiveClose | Exception] = asyncio.Queue()
        for message in says:
            self.say(message)

    def say(self, message: str | bytes | LiveClose | Exception) -> None:
        """Say *message* after those before it; an exception is raised when its turn comes."""
        self._says.put_nowait(message)

    async def receive(self) -> str | bytes | LiveClose:
        """Return the next message that was said."""
        message = await self._says.get()
        self.taken_count += 1
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message: str | bytes) -> None:
        """Hear *message*, once there is room."""
        await self.room.wait()
        self.heard.put_nowait(message)

    async def close(self, close: LiveClose) -> None:
        """Remember *close*."""
        self.closed = self.closed or close

    def all_heard(self) -> list[str | bytes]:
        """Return what it was sent and nobody has taken."""
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]
