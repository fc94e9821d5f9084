"""All logs of a run: those that were given, those that turn up, and how far each was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keyturn_cli.audit.log_files import LogFile, LogKind, UnreadLog
from keyturn_cli.audit.log_merge import LogMerge
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.log_source import Item, LogSource
from keyturn_cli.audit.positions import Position
from svc_runtime.clock import Clock

# A service may write to a renamed file until it is told to open the new one.
QUIET_SECONDS: Final = 60.0
# A log that turns up later may begin a little before the others ended.
LATE_US: Final = 60_000_000


class LogIntake:
    """Feeds a merge with logs, from where an earlier run left them."""

    def __init__(
        self,
        search: LogSearch,
        clock: Clock,
        positions: Sequence[Position] = (),
        *,
        follows: bool = False,
    ) -> None:
        """Take the logs that *search* finds, from *positions* on; *follows* for those that grow."""
        self._search = search
        self._clock = clock
        self._follows = follows
        self._merge = LogMerge(clock, follows=follows)
        self._taken: dict[tuple[LogKind, str], LogFile] = {}
        self._left = {position.key: position for position in positions}
        self._judged_us = max((position.clock_us for position in positions), default=0)
        self._quiet_since: dict[LogSource, tuple[int, float]] = {}
        self._vault_log_count = 0
        self._unread: dict[str, UnreadLog] = {}

    @property
    def vault_log_count(self) -> int:
        """How many of the logs that were taken are Vault's."""
        return self._vault_log_count

    def start(self) -> None:
        """Take the logs that are there, and find those again that were rotated meanwhile."""
        self._take_found()
        for position in list(self._left.values()):
            if not position.may_grow:
                continue
            log = self._search.find_moved(position.series, position.key)
            if log is not None:
                self._take(log)
            else:
                reason = f"what came after line {position.line_count} was not found"
                self._unread[position.name] = UnreadLog(position.name, reason)

    def read(self) -> list[Item] | None:
        """Return lines whose turn it is, perhaps none; None when there is nothing to read now."""
        return self._merge.read()

    def settle(self) -> list[Item]:
        """Return the lines that nothing can precede any more, though logs may grow."""
        return self._merge.settle()

    def flush(self, *, with_unended: bool) -> list[Item]:
        """Return all lines that are left, *with_unended* also last lines without a newline."""
        return self._merge.flush(with_unended=with_unended)

    def look_again(self) -> None:
        """Go on with logs that grew, and with what rotation made of them."""
        self._take_found()
        for source in self._merge.resting():
            if source.was_cut():
                self._read_copy_of(source)
            elif self._was_left(source):
                self._merge.end(source)
        self._merge.wake()

    def sources(self) -> list[LogSource]:
        """Return all logs that were taken."""
        return self._merge.sources()

    def positions(self) -> list[Position]:
        """Return how far each log was read, those of earlier runs too."""
        positions = self._merge.positions()
        known = {position.key for position in positions}
        return [*positions, *(left for key, left in self._left.items() if key not in known)]

    def unread(self) -> list[UnreadLog]:
        """Return what could not be read."""
        return [*self._search.unread.values(), *self._unread.values(), *self._merge.unread.values()]

    def close(self) -> None:
        """Let go of all logs."""
        self._merge.close()

    def _take_found(self) -> None:
        for log in self._search.find():
            # A follower waits for the end of the first line: before, it tells nothing.
            if log.key not in self._taken and (log.has_whole_line or not self._follows):
                self._take(log)

    def _take(self, log: LogFile) -> None:
        self._taken[log.key] = log
        if log.key not in self._left and 0 < log.first_us < self._judged_us - LATE_US:
            reason = "it begins before what was verified already; verify all logs anew together"
            self._unread[log.name] = UnreadLog(log.name, reason)
            return
        self._vault_log_count += log.kind is LogKind.VAULT
        self._merge.add(log, self._left.pop(log.key, None))

    def _read_copy_of(self, source: LogSource) -> None:
        copy = self._search.find_moved(source.log.series, source.log.key)
        if copy is not None:
            source.move_to(copy)
        else:
            self._merge.end(source, "it was emptied, and no copy of what it held was found")

    def _was_left(self, source: LogSource) -> bool:
        """Return whether *source* is an old part of a rotated log, and nothing comes to it."""
        now = self._clock.monotonic()
        line, since = self._quiet_since.get(source, (-1, now))
        if source.last_line != line:
            self._quiet_since[source] = source.last_line, now
            return False
        is_newest = not any(
            log.series == source.log.series and log.first_us > source.log.first_us
            for log in self._taken.values()
            if log.kind is source.log.kind
        )
        return not is_newest and now - since > QUIET_SECONDS
