"""Takes out of an event stream what the app must not or need not see; the rest passes untouched."""

from __future__ import annotations

import json
import re
from typing import Final

from gateway_svc.domain.key_echo import without_key_echo

_MAX_LINE_BYTES: Final = 64 * 1024  # of an event that is looked at
_ERROR_TYPES: Final = frozenset({"error", "response.failed"})
_BLANK: Final = frozenset({b"\n", b"\r\n"})
_REPORT: Final = re.compile(rb'"usage"\s*:\s*\{')
# A member outside of a string: inside of one, each quotation mark has a backslash before it.
_NO_REPORT: Final = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,')


class EventFilter:
    """Passes events on as they come: a line is held back only until it is whole.

    Taken out are echoes of the key in error events and, where the gateway asked for the usage, what
    OpenAI added to the stream for that.
    """

    def __init__(self, *, removes_usage: bool) -> None:
        self._removes_usage = removes_usage
        self._line = bytearray()
        self._drops_blank = False

    def feed(self, piece: bytes) -> bytes:
        """Take *piece*; return what may go on to the app."""
        self._line += piece
        end = self._line.rfind(b"\n") + 1
        if end == 0 and len(self._line) <= _MAX_LINE_BYTES:
            return b""
        # A line longer than OpenAI's longest error is content: an image, for one.
        end = end or len(self._line)
        whole = bytes(self._line[:end])
        del self._line[:end]
        if not self._must_look_at(whole):
            return whole
        return b"".join(self._filtered(line) for line in whole.splitlines(keepends=True))

    def rest(self) -> bytes:
        """Return what the end of the stream left unfinished."""
        return self._filtered(bytes(self._line))

    def _must_look_at(self, lines: bytes) -> bool:
        return (
            b'"error"' in lines
            or b".failed" in lines
            or (self._removes_usage and (self._drops_blank or b'"usage"' in lines))
        )

    def _filtered(self, line: bytes) -> bytes:
        if self._drops_blank:
            self._drops_blank = False
            if line in _BLANK:
                return b""
        if not line.startswith(b"data:"):
            return line
        if self._removes_usage and b'"usage"' in line:
            if _is_report(line):
                self._drops_blank = True
                return b""
            line = _NO_REPORT.sub(b"", line, count=1)
        return _without_error_echo(line)


def _is_report(line: bytes) -> bool:
    """Tell whether *line* is the chunk that OpenAI sends for the usage alone."""
    if not _REPORT.search(line):
        return False
    event = _event(line)
    return isinstance(event, dict) and event.get("choices") == []


def _without_error_echo(line: bytes) -> bytes:
    if b'"error"' not in line and b".failed" not in line:
        return line
    event = _event(line)
    is_error = isinstance(event, dict) and (
        event.get("error") or str(event.get("type", "")) in _ERROR_TYPES
    )
    data = line.partition(b":")[2].strip()
    replaced = without_key_echo(data) if is_error else data
    return line if replaced == data else b"data: " + replaced + b"\n"


def _event(line: bytes) -> object:
    try:
        return json.loads(line.partition(b":")[2])
    except (ValueError, RecursionError):
        return None
