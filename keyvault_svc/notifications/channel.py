"""What the outbox needs of a channel, and what a channel says of one try."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from keyvault_svc.domain.events import Event


class Verdict(StrEnum):
    """What became of one try to deliver an event."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"
    """No repetition can help this event."""
    GONE = "gone"
    """The receiver wants no events any more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver an event.

    Attributes:
        verdict: What became of it.
        reason: Why it was not delivered, one fixed word for logs.
        status: What the receiver answered, by HTTP or SMTP; 0 if it did not.
        retry_after_seconds: How long the receiver asked to be left alone; 0 if it did not.
    """

    verdict: Verdict
    reason: str = ""
    status: int = 0
    retry_after_seconds: float = 0.0


class Channel(Protocol):
    """One receiver of events."""

    @property
    def name(self) -> str:
        """How logs call it; no address and no secret."""

    def wants(self, event: Event) -> bool:
        """Tell whether it is to deliver *event*."""

    async def deliver(self, event: Event) -> Attempt:
        """Try to deliver *event* once. A repetition is recognisable by the event's id."""

    async def aclose(self) -> None:
        """Close its connections."""
