"""How far a job is: a bar for people, and plain lines for a log."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final, Never, Self, TextIO

from tqdm import tqdm

from svc_runtime.clock import Clock, SystemClock

_LINE_SECONDS: Final = 10.0  # between two lines, unless the second tells the end of a phase
_BAR_SECONDS: Final = 0.2


class Progress:
    """One bar for each phase on a terminal; elsewhere whole lines, now and then.

    Elsewhere there is nobody to watch, and what draws a bar would run into the lines of the log.
    """

    def __init__(self, stream: TextIO | None = None, clock: Clock | None = None) -> None:
        """Show on *stream*, standard error when None; *clock* is the system's when None."""
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock or SystemClock()
        self._bar: tqdm[Never] | None = None
        self._phase = ""
        self._told = ""
        self._told_time = self._clock.monotonic()

    def show(self, phase: str, done: int, total: int, unit: str, note: str = "") -> None:
        """Show that *done* of *total* are done in *phase*.

        Args:
            phase: What the job is at, such as `rewrapping`.
            done: How many are done.
            total: How many there are; for all that is known, it may grow.
            unit: What is counted, such as `owner`.
            note: What else is to be known.
        """
        if not self._stream.isatty():
            self._show_line(phase, done, total, unit, note)
            return
        bar = self._bar
        if bar is None or phase != self._phase:
            self.close()
            self._phase = phase
            bar = self._bar = tqdm(
                desc=phase, unit=unit, mininterval=_BAR_SECONDS, file=self._stream
            )
        bar.total = total
        bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)

    def close(self) -> None:
        """End the bar. Idempotent."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show_line(self, phase: str, done: int, total: int, unit: str, note: str) -> None:
        now = self._clock.monotonic()
        if done < total and now - self._told_time < _LINE_SECONDS:
            return
        line = f"{phase}: {done} of {total} {unit}s{note and f', {note}'}"
        if line != self._told:
            self._told, self._told_time = line, now
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
