"""When a delivery that failed is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 20  # far past every maximum, and far from overflowing


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How patient a channel is. Times are in seconds.

    By default an event is tried 18 times, in 10 to 21 hours.

    Attributes:
        max_attempts: Tries of one event.
        max_age_seconds: How old an event may get before it is given up.
        first_seconds: Wait after the first failure of an event; it doubles with each further one.
        max_seconds: The longest such wait.
        max_pause_seconds: The longest time for which a receiver that fails is left alone. Events
            behind the one that failed wait no longer than that.
        max_retry_after_seconds: The longest time for which a receiver may ask to be left alone.
        attempt_seconds: How long one try may take.
    """

    max_attempts: int = 18
    max_age_seconds: float = 86_400.0
    first_seconds: float = 2.0
    max_seconds: float = 14_400.0
    max_pause_seconds: float = 60.0
    max_retry_after_seconds: float = 3600.0
    attempt_seconds: float = 30.0

    def delay_seconds(
        self, attempts: int, jitter: float, retry_after_seconds: float = 0.0
    ) -> float:
        """Return how long an event waits for its next try.

        Args:
            attempts: Tries so far, at least 1.
            jitter: From 0 to 1; keeps replicas that failed together from retrying together.
            retry_after_seconds: What the receiver asked for.
        """
        doubled = self._doubled(attempts, self.max_seconds, jitter)
        return max(doubled, self._bounded(retry_after_seconds))

    def pause_seconds(
        self, failures: int, jitter: float, retry_after_seconds: float = 0.0
    ) -> float:
        """Return how long a receiver is left alone after *failures* failures in a row.

        See `delay_seconds` for the other arguments.
        """
        doubled = self._doubled(failures, self.max_pause_seconds, jitter)
        return max(doubled, self._bounded(retry_after_seconds))

    def is_last(self, attempts: int) -> bool:
        """Tell whether an event is given up if the last of *attempts* tries failed."""
        return attempts >= self.max_attempts

    def is_too_old(self, age_seconds: float) -> bool:
        """Tell whether an event of this age is given up."""
        return age_seconds > self.max_age_seconds

    def _doubled(self, count: int, maximum: float, jitter: float) -> float:
        full = min(maximum, self.first_seconds * 2.0 ** min(count - 1, _MAX_DOUBLINGS))
        return full * (1 + jitter) / 2

    def _bounded(self, retry_after_seconds: float) -> float:
        return min(max(retry_after_seconds, 0.0), self.max_retry_after_seconds)
