"""How far a log was read, in terms that hold after it was rotated and gzipped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Self

from keyturn_cli.audit.log_files import LogKind

_DIGEST_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was read.

    Attributes:
        kind, identity: Which log.
        name: What it was called.
        series: See `LogFile.series`.
        offset: Behind the last line that was read, in bytes of plain text.
        line_count: How many lines stand before it.
        last_offset: Of the last line that was read.
        last_digest: Of that line; see `digest_of`.
        clock_us: When that line was written.
        held: Offsets of lines that were read, but not judged yet; they are read again.
        held_line: The number of the first of them; 0 for none.
        may_grow: Whether more may have been written since: it was the newest plain log of a series.
        is_complete: Whether there is no more: it was read to the end of its gzipped file.
    """

    kind: LogKind
    identity: str
    name: str
    series: str
    offset: int
    line_count: int
    last_offset: int
    last_digest: str
    clock_us: int
    held: tuple[int, ...] = ()
    held_line: int = 0
    may_grow: bool = False
    is_complete: bool = False

    @property
    def key(self) -> tuple[LogKind, str]:
        """As `LogFile.key`."""
        return self.kind, self.identity

    @property
    def start(self) -> tuple[int, int]:
        """From where reading goes on: an offset, and how many lines stand before it."""
        if self.held:
            return self.held[0], self.held_line - 1
        return self.last_offset, self.line_count - 1

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Return the position that *document* is.

        Raises:
            TypeError, ValueError: It is none.
        """
        known = {**document, "kind": LogKind(document["kind"]), "held": tuple(document["held"])}
        return cls(**known)


def digest_of(raw: bytes | None) -> str:
    """Return the digest of a line; of one that is too long to be kept, that it is."""
    return hashlib.sha256(raw if raw is not None else b"\n").hexdigest()[:_DIGEST_DIGITS]
