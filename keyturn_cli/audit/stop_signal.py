"""How a person, or a supervisor, ends a verification: at a good place, with all that was found."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop(Protocol):
    """Whether to end."""

    def is_set(self) -> bool:
        """Return whether to end."""

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the end; return whether it came."""


class StopSignal:
    """Set by a signal's handler.

    A lock of `threading.Event` may be held by the very code that the handler interrupts; a pipe has
    none.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._source, self._sink = os.pipe()

    def is_set(self) -> bool:
        """Return whether a signal came."""
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for a signal; return whether one came."""
        select.select([self._source], [], [], timeout)
        return self._is_set

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Note the first signal.

        Raises:
            KeyboardInterrupt: It is the second one.
        """
        if self._is_set:
            raise KeyboardInterrupt
        self._is_set = True
        os.write(self._sink, b"\0")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._source)
        os.close(self._sink)


@contextmanager
def stop_at_signals() -> Iterator[StopSignal]:
    """Yield what the first Ctrl-C, or SIGTERM, sets; a second one interrupts at once."""
    stop = StopSignal()
    before = {number: signal.signal(number, stop.on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
