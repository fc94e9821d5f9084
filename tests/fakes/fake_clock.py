"""A clock that a test turns by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """`Clock` that stands still until it is advanced."""

    def __init__(self) -> None:
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return `START` plus what was advanced."""
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that were advanced."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._elapsed += seconds
