"""Keeps news that repeats itself from being told again and again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from svc_runtime.clock import Clock

_MAX_REMEMBERED: Final = 10_000


class RepeatFilter:
    """Remembers, for *within_seconds*, what was told."""

    def __init__(self, clock: Clock, *, within_seconds: float = 60.0) -> None:
        self._clock = clock
        self._within_seconds = within_seconds
        self._told: dict[Hashable, float] = {}  # the oldest first, as dicts keep it

    def is_repeat(self, occasion: Hashable) -> bool:
        """Tell whether *occasion* was told already; remember it if it was not."""
        now = self._clock.monotonic()
        self._forget(now - self._within_seconds)
        if occasion in self._told:
            return True
        if len(self._told) >= _MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[occasion] = now
        return False

    def _forget(self, until: float) -> None:
        while self._told:
            oldest = next(iter(self._told))
            if self._told[oldest] > until:
                return
            del self._told[oldest]
