"""Whole lines of one log, each with its number and its place in the plain text."""

from __future__ import annotations

from typing import Final, NamedTuple

from keyturn_cli.audit.log_text import LogText

# Vault's lines grow with the policies of a token; 1 MiB is far above any of ours.
MAX_LINE_BYTES: Final = 1024 * 1024


class Line(NamedTuple):
    """A line.

    Attributes:
        number: From 1.
        offset: Of its first byte in the plain text.
        raw: Without its newline; None for one that is longer than `MAX_LINE_BYTES`.
    """

    number: int
    offset: int
    raw: bytes | None


class LineReader:
    """Reads a log forwards, some lines at a time.

    Attributes:
        offset: In the plain text, behind the last whole line that was read.
        line_count: How many lines stand before it.
    """

    def __init__(self, text: LogText, *, offset: int = 0, line_count: int = 0) -> None:
        """Read *text*, which is at *offset*, behind *line_count* lines."""
        self._text = text
        self._rest = b""  # the beginning of a line whose end was not read yet
        self._dropped_byte_count = 0  # of that line, when it is too long to be kept
        self.offset = offset
        self.line_count = line_count

    def read(self) -> list[Line]:
        """Return the next whole lines; none at the end, or when there are none yet.

        Raises:
            DamagedLogError, OSError: The log cannot be read on.
        """
        while chunk := self._text.read():
            if lines := self._lines(chunk):
                return lines
        return []

    def rest(self) -> Line | None:
        """Return the last line when it has no newline yet, else None."""
        if not self._rest and not self._dropped_byte_count:
            return None
        raw = None if self._dropped_byte_count else self._rest
        return Line(self.line_count + 1, self.offset, raw)

    def _lines(self, chunk: bytes) -> list[Line]:
        pieces = (self._rest + chunk).split(b"\n")
        self._rest = pieces.pop()
        lines = []
        for piece in pieces:
            self.line_count += 1
            is_too_long = self._dropped_byte_count or len(piece) > MAX_LINE_BYTES
            lines.append(Line(self.line_count, self.offset, None if is_too_long else piece))
            self.offset += self._dropped_byte_count + len(piece) + 1
            self._dropped_byte_count = 0
        if self._dropped_byte_count or len(self._rest) > MAX_LINE_BYTES:
            self._dropped_byte_count += len(self._rest)
            self._rest = b""
        return lines
