"""From when to when Vault's audit log is known."""

from __future__ import annotations

from typing import Final

_NEW_DEVICE: Final = "sys/audit/test"


class LogSpan:
    """The beginning and the end of what was given.

    What happened just before may be told in a file that was not given. A log that begins with the
    line by which Vault tries a new device has nothing before it.

    Attributes:
        first_us, last_us: Times of the first and the last entry; 0 without any.
        is_whole: Whether there was nothing before.
    """

    def __init__(self, skew_us: int) -> None:
        self._skew_us = skew_us
        self.first_us = 0
        self.last_us = 0
        self.is_whole = False

    def see(self, time_us: int, path: str) -> None:
        """Take the next entry."""
        if not self.first_us:
            self.first_us = time_us
            self.is_whole = path == _NEW_DEVICE
        self.last_us = max(self.last_us, time_us)

    def may_precede(self, time_us: int) -> bool:
        """Return whether what belongs to *time_us* may have been logged before the beginning."""
        return not self.is_whole and time_us <= self.first_us + self._skew_us

    def state(self) -> list[int]:
        """Return all that is kept, as JSON types."""
        return [self.first_us, self.last_us, int(self.is_whole)]

    def restore(self, state: list[int]) -> None:
        """Go on from *state*."""
        self.first_us, self.last_us, is_whole = state
        self.is_whole = bool(is_whole)
