"""The whole objects of logs' lines, one log after the other, for a search for few of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from keyturn_cli.audit.line_reader import LineReader
from keyturn_cli.audit.log_files import LogFile, LogKind, UnreadLog
from keyturn_cli.audit.log_search import LogSearch
from keyturn_cli.audit.log_text import DamagedLogError, LogText, PlainText

_MAX_PREFIX: Final = 64  # bytes that an audit device may write before each entry


class LogObjects:
    """Reads the logs that a search finds, in no order among them and in bounded memory."""

    def __init__(self, search: LogSearch) -> None:
        self._search = search
        self._logs = search.find()
        self._broken: list[UnreadLog] = []

    def read(self, kind: LogKind) -> Iterator[dict[str, Any] | None]:
        """Yield the object of each line of the logs of *kind*; None for a line that is none.

        Empty lines are skipped. What cannot be read on is noted.
        """
        for log in self._logs:
            if log.kind is kind:
                try:
                    yield from _objects(log)
                except DamagedLogError as error:
                    self._broken.append(UnreadLog(log.name, str(error)))
                except OSError as error:
                    reason = error.strerror or "the system cannot read it"
                    self._broken.append(UnreadLog(log.name, reason))

    def unread(self) -> list[UnreadLog]:
        """Return what could not be read."""
        return [*self._search.unread.values(), *self._broken]


def _objects(log: LogFile) -> Iterator[dict[str, Any] | None]:
    text = log.open()
    try:
        for raw in _lines(text):
            if raw is None:
                yield None
            elif raw and not raw.isspace():
                yield _object(raw, log.kind)
    finally:
        text.close()


def _lines(text: LogText) -> Iterator[bytes | None]:
    """Yield lines to the end of *text* as it is now, the last one though it has no end."""
    reader = LineReader(text)
    while (lines := reader.read()) or not (text.is_ended or isinstance(text, PlainText)):
        for line in lines:
            yield line.raw
    if rest := reader.rest():
        yield rest.raw


def _object(raw: bytes, kind: LogKind) -> dict[str, Any] | None:
    begin = raw.find(b"{", 0, _MAX_PREFIX) if kind is LogKind.VAULT else 0
    try:
        parsed = orjson.loads(raw[begin:]) if begin >= 0 else None
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None
