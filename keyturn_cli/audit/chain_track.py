"""What is kept of one chain while its lines go by."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from keyturn_cli.audit.entries import Place

KEPT_LINES: Final = 4096
"""Hashes of so many last lines are kept: more than are written while Vault signs."""

_DIGEST_BYTES: Final = 16  # of 32: as hard to hit as a UUID
_UNKNOWN: Final = bytes(_DIGEST_BYTES)


class RecentDigests:
    """The beginnings of the hashes of a chain's last lines, by number."""

    def __init__(self, first_seq: int, data: bytes = b"") -> None:
        """Begin before line *first_seq*, or with *data* from that line on."""
        self._first_seq = first_seq
        self._data = bytearray(data)

    def append(self, digest: str) -> None:
        """Add the next line's *digest*, in hexadecimal."""
        self._data += bytes.fromhex(digest)[:_DIGEST_BYTES]
        self._trim()

    def skip(self, count: int) -> None:
        """Leave *count* lines unknown."""
        if count > KEPT_LINES:
            self._first_seq += count - KEPT_LINES
            count = KEPT_LINES
        self._data += _UNKNOWN * count
        self._trim()

    def get(self, seq: int) -> str:
        """Return what is kept of the hash of line *seq*, in hexadecimal; empty for nothing."""
        start = (seq - self._first_seq) * _DIGEST_BYTES
        found = bytes(self._data[start : start + _DIGEST_BYTES]) if start >= 0 else b""
        return "" if found == _UNKNOWN else found.hex()

    def fill(self, seq: int, digest: str) -> None:
        """Keep the *digest* of line *seq*, which was unknown."""
        start = (seq - self._first_seq) * _DIGEST_BYTES
        if start >= 0:
            self._data[start : start + _DIGEST_BYTES] = bytes.fromhex(digest)[:_DIGEST_BYTES]

    def is_known_to_miss(self, seq: int) -> bool:
        """Tell whether line *seq* is one of those that were skipped."""
        start = (seq - self._first_seq) * _DIGEST_BYTES
        return start >= 0 and bytes(self._data[start : start + _DIGEST_BYTES]) == _UNKNOWN

    def forget(self) -> None:
        """Keep nothing any more."""
        self._data.clear()

    def state(self) -> list[Any]:
        """Return all that is kept, as JSON types."""
        return [self._first_seq, base64.b64encode(self._data).decode()]

    def _trim(self) -> None:
        if len(self._data) >= 2 * KEPT_LINES * _DIGEST_BYTES:
            count = len(self._data) // _DIGEST_BYTES - KEPT_LINES
            del self._data[: count * _DIGEST_BYTES]
            self._first_seq += count


@dataclass(slots=True)
class Gap:
    """Lines that did not come yet: they may be out of order."""

    first: int
    last: int
    time_us: int
    before: Place
    after: Place

    def state(self) -> list[Any]:
        """Return it as JSON types."""
        places = (self.before.log, self.before.line, self.after.log, self.after.line)
        return [self.first, self.last, self.time_us, *places]

    @classmethod
    def of(cls, state: list[Any]) -> Gap:
        """Return what *state* says."""
        first, last, time_us, before, before_line, after, after_line = state
        return cls(first, last, time_us, Place(before, before_line), Place(after, after_line))


@dataclass(slots=True)
class Attested:
    """What Vault's log says of a chain."""

    seq: int
    digits: str
    time_us: int
    place: Place

    def state(self) -> list[Any]:
        """Return it as JSON types."""
        return [self.seq, self.digits, self.time_us, self.place.log, self.place.line]

    @classmethod
    def of(cls, state: list[Any]) -> Attested:
        """Return what *state* says."""
        seq, digits, time_us, log, line = state
        return cls(seq, digits, time_us, Place(log, line))


@dataclass(slots=True)
class ChainTrack:
    """One chain.

    Attributes:
        seq, digest, place, time_us: Of the line with the highest number so far.
        signed_seq: Up to here a checkpoint covers it, or its first lines were not given.
        unsigned_us: When the first line after that was written; 0 for none.
        is_told_unsigned, is_told_silent: What was told already.
        closed_seq: The number of its closing line; 0 before that has come.
        checkpoint_seq: The number of the last checkpoint's own line; 0 before any.
        gaps: Lines that are missing so far.
        last_attested: What Vault's log said last.
        awaited: What Vault's log said of lines that have not come yet.
    """

    service: str
    seq: int
    digest: str
    place: Place
    time_us: int
    signed_seq: int
    recent: RecentDigests
    unsigned_us: int = 0
    is_told_unsigned: bool = False
    is_told_silent: bool = False
    closed_seq: int = 0
    checkpoint_seq: int = 0
    gaps: list[Gap] = field(default_factory=list)
    last_attested: Attested | None = None
    awaited: list[Attested] = field(default_factory=list)

    @property
    def is_signed_to_its_end(self) -> bool:
        """Whether it was closed, its closing line is signed, and only a checkpoint follows."""
        return 0 < self.closed_seq <= self.signed_seq and self.checkpoint_seq == self.seq

    @property
    def is_never_signed(self) -> bool:
        """Whether its first line is here, and no checkpoint."""
        return self.signed_seq == 0

    def state(self) -> list[Any]:
        """Return it as JSON types."""
        return [
            *(self.service, self.seq, self.digest, self.place.log, self.place.line),
            *(self.time_us, self.signed_seq, self.recent.state(), self.unsigned_us),
            *(self.is_told_unsigned, self.is_told_silent, self.closed_seq, self.checkpoint_seq),
            [gap.state() for gap in self.gaps],
            self.last_attested.state() if self.last_attested else None,
            [attested.state() for attested in self.awaited],
        ]

    @classmethod
    def of(cls, state: list[Any]) -> ChainTrack:
        """Return what *state* says."""
        service, seq, digest, log, line, time_us, signed_seq, recent, unsigned_us, *rest = state
        told_unsigned, told_silent, closed_seq, checkpoint_seq, gaps, last, awaited = rest
        return cls(
            *(service, seq, digest, Place(log, line), time_us, signed_seq),
            RecentDigests(recent[0], base64.b64decode(recent[1])),
            *(unsigned_us, told_unsigned, told_silent, closed_seq, checkpoint_seq),
            [Gap.of(gap) for gap in gaps],
            Attested.of(last) if last else None,
            [Attested.of(attested) for attested in awaited],
        )
