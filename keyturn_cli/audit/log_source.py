"""One log while it is read: its lines, parsed, and how far they were read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from keyturn_cli.audit.entries import (
    Place,
    ServiceRecord,
    VaultEntry,
    parse_service_line,
    parse_vault_line,
)
from keyturn_cli.audit.line_reader import MAX_LINE_BYTES, Line, LineReader
from keyturn_cli.audit.log_files import LogFile, LogKind, identity_of
from keyturn_cli.audit.log_text import DamagedLogError, LogText, PlainText
from keyturn_cli.audit.positions import Position, digest_of

WINDOW_US: Final = 2_000_000  # by how much the lines of one log may be out of order


@dataclass(slots=True)
class BadLine:
    """A line that could not be parsed, or not believed.

    Attributes:
        ahead: What a line says that is dated ahead of now. It is of the time of the line before it.
    """

    place: Place
    kind: LogKind
    ahead: VaultEntry | ServiceRecord | None = None


class Item(NamedTuple):
    """A line on its way to be judged; items sort by time, and within one log by line.

    Attributes:
        time_us: Microseconds since 1970.
        source: Number of its log.
        line: Number in its log.
        offset: In the plain text of its log.
    """

    time_us: int
    source: int
    line: int
    offset: int
    content: VaultEntry | ServiceRecord | BadLine


class LogSource:
    """Reads one log.

    Attributes:
        log: What is read.
        number: Tells it from the other logs of this run.
        clock_us: When the lines that were read last were written.
        is_ended: Whether all was read, and no more can come.
        is_broken: Whether it could not be read on.
        line_count: How many lines this run read.
        byte_count: How many bytes of plain text these were.
    """

    def __init__(self, log: LogFile, number: int, position: Position | None = None) -> None:
        """Read *log*, from *position* on if there is one."""
        self.log = log
        self.number = number
        self.clock_us = position.clock_us if position else log.first_us
        self.is_ended = position is not None and position.is_complete
        self.is_broken = False
        self.line_count = 0
        self.byte_count = 0
        self._latest_us: int | None = None
        self._position = position
        self._is_behind_position = position is None
        self._line_us = self.clock_us  # of the last line
        self._last: Line | None = None
        self._text: LogText | None = None
        self._reader: LineReader | None = None
        self._stored_byte_count = 0

    def read(self) -> list[Item]:
        """Return the next lines; none at the end, or when there are none yet.

        Raises:
            DamagedLogError: It is damaged, or is not what was read before.
            OSError: The system cannot read it.
        """
        if self.is_ended:
            return []
        reader = self._reader or self._open()
        while lines := reader.read():
            self._last = lines[-1]
            if items := self._items(self._new(lines)):
                return items
        self._see_end()
        return []

    def believe_until(self, latest_us: int) -> None:
        """Take lines that are dated after *latest_us* as of the line before them."""
        self._latest_us = latest_us
        if self.clock_us > latest_us:  # the first line is one
            self.clock_us = self._line_us = 0

    def rest(self) -> list[Item]:
        """Return the last line if it has no newline: the rest of it may still be written."""
        rest = self._reader.rest() if self._reader and not self.is_broken else None
        return self._items([rest]) if rest else []

    def was_cut(self) -> bool:
        """Return whether the file was emptied and begun anew, as some rotation does."""
        if not isinstance(self._text, PlainText):
            return False
        if self._text.stat().st_size < self._text.stored_bytes_read:
            return True
        return identity_of(self._text.beginning(MAX_LINE_BYTES + 1)) != self.log.identity

    def move_to(self, log: LogFile) -> None:
        """Read on in *log*, a copy of what was read so far that is written no more."""
        self._position = self.position(())
        self._is_behind_position = self._position is None
        self.close()
        self.is_ended = False
        self._reader = None
        self.log = replace(log, is_plain=False)

    def position(self, held: Sequence[Item], *, may_grow: bool = False) -> Position | None:
        """Return how far it was read, *held* apart; None when not one whole line was."""
        if self._last is None or self._reader is None or not self._is_behind_position:
            return self._position
        return Position(
            self.log.kind,
            self.log.identity,
            self.log.name,
            self.log.series,
            offset=self._reader.offset,
            line_count=self._reader.line_count,
            last_offset=self._last.offset,
            last_digest=digest_of(self._last.raw),
            clock_us=self.clock_us,
            held=tuple(item.offset for item in sorted(held, key=lambda item: item.line)),
            held_line=min((item.line for item in held), default=0),
            may_grow=may_grow,
            is_complete=self.is_ended and not held,
        )

    @property
    def is_open(self) -> bool:
        """Whether it is being read."""
        return self._text is not None

    @property
    def last_line(self) -> int:
        """The number of the last whole line that was read; 0 for none."""
        return self._reader.line_count if self._reader else 0

    def stored_byte_count(self) -> int:
        """Return how many bytes were read as they are stored."""
        if self._text is not None:
            self._stored_byte_count = self._text.stored_bytes_read
        return self._stored_byte_count

    def close(self) -> None:
        """Let go of the log; what it knows of its position stays."""
        self.stored_byte_count()
        if self._text is not None:
            self._text.close()
            self._text = None

    def _open(self) -> LineReader:
        self._text = self.log.open()
        start, line_count = self._position.start if self._position else (0, 0)
        self._text.skip(start)
        self._reader = LineReader(self._text, offset=start, line_count=line_count)
        return self._reader

    def _new(self, lines: list[Line]) -> list[Line]:
        """Return those of *lines* that were not judged before.

        Raises:
            DamagedLogError: The line at which reading ended before is another one now.
        """
        if self._is_behind_position or self._position is None:
            return lines
        known, held = self._position, frozenset(self._position.held)
        new = []
        for line in lines:
            if line.offset == known.last_offset and digest_of(line.raw) == known.last_digest:
                self._is_behind_position = True
            elif line.offset >= known.last_offset and not self._is_behind_position:
                raise DamagedLogError(f"line {known.line_count} is not what was read before")
            if line.offset > known.last_offset or line.offset in held:
                new.append(line)
        return new

    def _see_end(self) -> None:
        if self._text is None or not (self._text.is_ended or isinstance(self._text, PlainText)):
            return
        if not self._is_behind_position:
            raise DamagedLogError("it is shorter than when it was read before")
        self.is_ended = not self.log.is_plain

    def _items(self, lines: Iterable[Line]) -> list[Item]:
        kind, name, number = self.log.kind, self.log.name, self.number
        parse = parse_vault_line if kind is LogKind.VAULT else parse_service_line
        keeps_order, latest_us = kind is LogKind.SERVICE, self._latest_us
        before_us = line_us = self._line_us
        items = []
        for line in lines:
            self.line_count += 1
            raw = line.raw
            if raw is not None and (not raw or raw.isspace()):
                continue
            place = Place(name, line.number)
            parsed = parse(raw, place) if raw is not None else None
            content = parsed or BadLine(place, kind)
            before_us = line_us
            if parsed is not None:
                self.byte_count += len(raw or b"") + 1
                if latest_us is not None and parsed.time_us > latest_us:
                    parsed.time_us = line_us
                    content = BadLine(place, kind, parsed)
                line_us = parsed.time_us
                if keeps_order and line_us < before_us <= line_us + WINDOW_US:
                    line_us = before_us
            items.append(Item(line_us, number, line.number, line.offset, content))
        # One line of a wrong clock must not carry its log away from the others.
        self.clock_us = min(before_us, line_us)
        self._line_us = line_us
        return items
