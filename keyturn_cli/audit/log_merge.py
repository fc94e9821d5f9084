"""The lines of all logs in the order of time, in memory that does not grow with the logs."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

from keyturn_cli.audit.log_files import LogFile, UnreadLog
from keyturn_cli.audit.log_source import WINDOW_US, Item, LogSource
from keyturn_cli.audit.log_text import DamagedLogError
from keyturn_cli.audit.positions import Position
from svc_runtime.clock import Clock

AHEAD_US: Final = 24 * 3600 * 1_000_000  # a line of so long after now has a wrong time
MAX_HELD: Final = 50_000  # lines that wait for their turn: some 100 MB
_SORTS_PER_LINE: Final = 8  # at most, on average
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class LogMerge:
    """Reads always the log that is furthest behind, and releases what no log can precede any more.

    A log is opened when its first lines are due: of many rotated logs few are open at a time.

    Attributes:
        unread: Logs that broke off, by name.
    """

    def __init__(self, clock: Clock, *, follows: bool = False) -> None:
        """Merge no logs yet; if it *follows* them, a log that is at its end may grow."""
        self._clock = clock
        self._follows = follows
        self._reading: list[LogSource] = []  # or waiting to be opened
        self._resting: dict[LogSource, int] = {}  # read to the end as it was at this time
        self._ended: list[LogSource] = []
        self._held: list[Item] = []
        self._fresh_count = 0  # of those held, the ones that are not in order yet
        self.unread: dict[str, UnreadLog] = {}

    def add(self, log: LogFile, position: Position | None = None) -> None:
        """Take in *log*, from *position* on if there is one."""
        source = LogSource(log, len(self.sources()), position)
        source.believe_until(self._now_us() + AHEAD_US)
        (self._ended if source.is_ended else self._reading).append(source)

    def sources(self) -> list[LogSource]:
        """Return all logs, those that ended too."""
        return [*self._reading, *self._resting, *self._ended]

    def resting(self) -> list[LogSource]:
        """Return the logs that are read to their end, and may grow."""
        return list(self._resting)

    def read(self) -> list[Item] | None:
        """Read some lines; return those whose turn it is, None when there is nothing to read."""
        if not self._reading:
            return None
        source = min(self._reading, key=_clock_of)
        items = self._lines_of(source)
        self._held += items
        self._fresh_count += len(items)
        # To sort for few lines would cost more than these lines do otherwise.
        if self._fresh_count * _SORTS_PER_LINE < len(self._held):
            return []
        clocks = [*map(_clock_of, self._reading), *self._resting.values()]
        return self._release(min(clocks, default=self._now_us()))

    def settle(self) -> list[Item]:
        """Return the lines that nothing can precede any more, though logs may grow."""
        return self._release(min(self._resting.values(), default=self._now_us()))

    def flush(self, *, with_unended: bool) -> list[Item]:
        """Return all lines that are left, *with_unended* also last lines without a newline."""
        if with_unended:
            for source in (*self._resting, *self._ended):
                self._held += source.rest()
        self._fresh_count = len(self._held)
        return self._release(None)

    def wake(self) -> None:
        """Let logs that may have grown be read again."""
        self._reading += self._resting
        self._resting.clear()

    def end(self, source: LogSource, reason: str = "") -> None:
        """Stop reading *source*; with a *reason* because the rest of it cannot be read."""
        if reason:
            line = source.last_line
            after = f", after line {line}" if line else ""
            source.is_broken = True
            self.unread[source.log.name] = UnreadLog(source.log.name, f"{reason}{after}")
        source.close()
        self._resting.pop(source, None)
        self._reading = [other for other in self._reading if other is not source]
        self._ended.append(source)

    def close(self) -> None:
        """Let go of all logs."""
        for source in self.sources():
            source.close()

    def positions(self) -> list[Position]:
        """Return how far each log was read; what is held counts as not read."""
        held = defaultdict(list)
        for item in self._held:
            held[item.source].append(item)
        newest = {}
        for source in sorted(self.sources(), key=lambda source: source.log.first_us):
            if source.log.is_plain:
                newest[source.log.kind, source.log.series] = source
        positions = []
        for source in self.sources():
            may_grow = newest.get((source.log.kind, source.log.series)) is source
            position = source.position(held[source.number], may_grow=may_grow)
            if position is not None:
                positions.append(position)
        return positions

    def _lines_of(self, source: LogSource) -> list[Item]:
        if self._follows:
            source.believe_until(self._now_us() + AHEAD_US)
        try:
            items = source.read()
        except DamagedLogError as error:
            self.end(source, str(error))
            return []
        except OSError as error:
            self.end(source, error.strerror or "the system cannot read it")
            return []
        if source.is_ended:
            self.end(source)
        elif not items and (source.log.is_plain or self._follows):
            self._reading.remove(source)
            self._resting[source] = self._now_us()
            if not self._follows:
                source.close()
        return items

    def _release(self, clock_us: int | None) -> list[Item]:
        """Return the lines of before *clock_us*, the window apart; for None all."""
        if self._fresh_count:
            self._held.sort()
            self._fresh_count = 0
        count = len(self._held)
        if clock_us is not None:
            count = bisect_left(self._held, clock_us - WINDOW_US, key=_time_of)
            count = max(count, len(self._held) - MAX_HELD)
        released = self._held[:count]
        del self._held[:count]
        return released

    def _now_us(self) -> int:
        return (self._clock.now() - _EPOCH) // _MICROSECOND


def _clock_of(source: LogSource) -> int:
    return source.clock_us


def _time_of(item: Item) -> int:
    return item.time_us
