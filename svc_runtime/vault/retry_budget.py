"""How many repetitions a process may make: an outage must not become a storm of requests."""

from __future__ import annotations

from typing import Final

_BURST: Final = 10.0
_PER_SUCCESS: Final = 0.1  # one call in ten may be repeated for as long as that helps


class RetryBudget:
    """A bucket of repetitions that only successes fill again."""

    def __init__(self, burst: float = _BURST, per_success: float = _PER_SUCCESS) -> None:
        """Start with *burst* repetitions; every success adds *per_success*, up to *burst*."""
        self._burst = burst
        self._per_success = per_success
        self._left = burst

    def take(self) -> bool:
        """Take one repetition; return whether there was one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def succeeded(self) -> None:
        """Note that a request was answered."""
        self._left = min(self._left + self._per_success, self._burst)
