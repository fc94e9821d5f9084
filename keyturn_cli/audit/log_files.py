"""A log as it was found: a file, plain or gzipped, or standard input, told by its first line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from keyturn_cli.audit.entries import Place, parse_service_line, parse_vault_line
from keyturn_cli.audit.line_reader import MAX_LINE_BYTES
from keyturn_cli.audit.log_text import BegunText, LogText, PlainText, open_file

STANDARD_INPUT: Final = "-"

_IDENTITY_DIGITS: Final = 32
_LINES_TO_TIME: Final = 50  # of a log's first lines; any of them may be none of ours
_ROTATION: Final = re.compile(r"[.-]\d[\d.T_:+-]*(?=\.|$)|\.gz$")


class LogKind(StrEnum):
    """Who writes a log."""

    VAULT = "vault"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log as it was found.

    Attributes:
        name: As it was given; of a file in a folder, with the folder.
        path: None for standard input.
        identity: Digest of its first line. Rotation and compression leave it as it is.
        first_us: When its first lines were written, microseconds since 1970; 0 when none tells.
        stored_bytes: Its size as it is stored; 0 when that is not known.
        is_plain: Whether it is a file that is not packed, which may grow.
        has_whole_line: Whether its first line has an end: else it may turn out another log yet.
        begun: Standard input, which cannot be opened a second time.
    """

    name: str
    path: Path | None
    kind: LogKind
    identity: str
    first_us: int
    stored_bytes: int = 0
    is_plain: bool = False
    has_whole_line: bool = True
    begun: LogText | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[LogKind, str]:
        """What tells the log from any other, wherever it was moved."""
        return self.kind, self.identity

    @property
    def series(self) -> str:
        """What the names of a log and of its rotated parts have in common."""
        return series_of(self.path.absolute()) if self.path else STANDARD_INPUT

    def open(self) -> LogText:
        """Open it.

        Raises:
            DamagedLogError, OSError: It cannot be read.
        """
        if self.begun is not None:
            return self.begun
        assert self.path is not None  # noqa: S101 - only standard input has none
        return open_file(self.path)


@dataclass(frozen=True, slots=True)
class UnreadLog:
    """A log, or what is left of it, that could not be read: the verification lacks it."""

    name: str
    reason: str


def series_of(path: Path) -> str:
    """Return the folder and name of *path* without the numbers and dates of rotation."""
    name = path.name
    while (shorter := _ROTATION.sub("", name)) != name:
        name = shorter
    return str(path.parent / name)


def probe_file(name: str, path: Path, kind: LogKind) -> LogFile | None:
    """Return the log at *path*, to be called *name*; None for an empty file.

    Raises:
        DamagedLogError, OSError: It cannot be read.
    """
    text = open_file(path)
    try:
        beginning = _beginning(text)
    finally:
        text.close()
    if not beginning:
        return None
    return LogFile(
        name,
        path,
        kind,
        identity_of(beginning),
        _first_time(beginning, kind),
        stored_bytes=path.stat().st_size,
        is_plain=isinstance(text, PlainText),
        has_whole_line=b"\n" in beginning,
    )


def probe_stream(text: LogText, kind: LogKind) -> LogFile | None:
    """Return standard input as a log; None when it is empty.

    Raises:
        DamagedLogError, OSError: It cannot be read.
    """
    beginning = _beginning(text)
    if not beginning:
        return None
    begun = BegunText(beginning, text)
    identity = identity_of(beginning)
    first_us = _first_time(beginning, kind)
    return LogFile(STANDARD_INPUT, None, kind, identity, first_us, begun=begun)


def identity_of(beginning: bytes) -> str:
    """Return the digest of the first line of a log, of which *beginning* holds all or most."""
    first_line = beginning.partition(b"\n")[0][:MAX_LINE_BYTES]
    return hashlib.sha256(first_line).hexdigest()[:_IDENTITY_DIGITS]


def _beginning(text: LogText) -> bytes:
    """Read whole lines enough to know *text* by, or all that there is."""
    beginning = text.read()
    while b"\n" not in beginning and len(beginning) < MAX_LINE_BYTES:
        more = text.read()
        if not more and not _may_come(text):
            break
        beginning += more
    return beginning


def _may_come(text: LogText) -> bool:
    return not text.is_ended and not isinstance(text, PlainText)


def _first_time(beginning: bytes, kind: LogKind) -> int:
    parse = parse_vault_line if kind is LogKind.VAULT else parse_service_line
    for raw in beginning.split(b"\n", _LINES_TO_TIME)[:_LINES_TO_TIME]:
        if entry := parse(raw, Place("", 0)):
            return entry.time_us
    return 0
