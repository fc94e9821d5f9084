"""Remembers what owners would be told."""

from __future__ import annotations

from keyvault_svc.domain.events import Event


class FakeNotifier:
    """`Notifier` in memory.

    Attributes:
        events: What was told, the oldest first.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Remember *event*."""
        self.events.append(event)
