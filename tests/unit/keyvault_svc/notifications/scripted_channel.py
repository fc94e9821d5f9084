"""A channel that answers as a test wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from keyvault_svc.domain.events import Event
from keyvault_svc.notifications.channel import Attempt, Verdict

DELIVERED = Attempt(Verdict.DELIVERED)
FAILED = Attempt(Verdict.RETRY, "receiver_failed", 503)
REFUSED = Attempt(Verdict.REFUSED, "receiver_refused", 400)
GONE = Attempt(Verdict.GONE, "receiver_gone", 410)

Answer = Attempt | Exception


@dataclass
class ScriptedChannel:
    """`Channel` that gives *answers* in turn, and then takes everything."""

    answers: Iterable[Answer] = ()
    name: str = "scripted"
    never_taken: str = ""
    """Id of a key whose events always fail."""
    is_wanted: bool = True
    is_closed: bool = False
    hold: asyncio.Event | None = None
    """Each try waits for it."""
    tried: list[str] = field(default_factory=list)
    """Ids of the keys, of each try."""
    tries: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self._answers = iter(self.answers)

    def wants(self, event: Event) -> bool:
        del event
        return self.is_wanted

    async def deliver(self, event: Event) -> Attempt:
        key_id = event.key.rpartition("/")[2]
        self.tried.append(key_id)
        self.tries.put_nowait(key_id)
        if self.hold is not None:
            await self.hold.wait()
        if key_id == self.never_taken:
            return FAILED
        answer = next(self._answers, DELIVERED)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.is_closed = True
