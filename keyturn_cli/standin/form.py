"""Reading multipart/form-data piece by piece, without holding its files.

Written for the stand-in, so that the digest of the body is taken of the very bytes
that the parser gets.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from aiohttp import parse_content_disposition
from aiohttp.multipart import content_disposition_filename

from keyturn_cli.standin.errors import invalid_parameter, missing_parameter

_KEPT_BYTES: Final = 1024 * 1024  # of each part
_PIECE_BYTES: Final = 64 * 1024
_MAX_COUNT: Final = 10  # of images, as OpenAI has it
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(slots=True)
class Content:
    """Bytes that came in: their digest and length, and how they start.

    Attributes:
        size: Their number.
        head: The first MiB.
    """

    size: int = 0
    head: bytearray = field(default_factory=bytearray)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def feed(self, piece: bytes) -> None:
        """Add *piece* at the end."""
        self.size += len(piece)
        self._digest.update(piece)
        self.head += piece[: _KEPT_BYTES - len(self.head)]

    @property
    def sha256(self) -> str:
        """The digest of all bytes, in hex digits."""
        return self._digest.hexdigest()

    def text(self) -> str:
        """Return the kept bytes as text."""
        return self.head.decode("utf-8", "replace")

    def pieces(self) -> Iterator[bytes]:
        """Yield as many bytes as came in; after the kept ones these start anew."""
        left = self.size
        for start in itertools.cycle(range(0, len(self.head), _PIECE_BYTES)):
            piece = bytes(self.head[start : start + _PIECE_BYTES])[:left]
            yield piece
            left -= len(piece)
            if not left:
                return


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; *filename* is None for a plain field."""

    name: str
    filename: str | None
    content_type: str
    content: Content


class Form:
    """A multipart body, parsed as it is fed."""

    def __init__(self, boundary: str) -> None:
        """Expect parts set apart by *boundary*."""
        self.parts: list[Part] = []
        self.is_finished = False
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._buffer = bytearray(b"\r\n")  # The first delimiter may lack its line break.
        self._is_in_head = False

    def feed(self, piece: bytes) -> None:
        """Parse *piece*; whatever follows the last part is dropped."""
        if self.is_finished:
            return
        self._buffer += piece
        while self._read_head() if self._is_in_head else self._read_content():
            pass

    def text(self, name: str) -> str | None:
        """Return the first field *name*, or None."""
        return next((part.content.text() for part in self.parts if part.name == name), None)

    def count(self, name: str) -> int:
        """Return the number *name*, 1 unless stated.

        Raises:
            ApiError: It is no positive number.
        """
        raw = self.text(name) or "1"
        if not raw.isdecimal() or not 1 <= int(raw) <= _MAX_COUNT:
            raise invalid_parameter(f"Invalid '{name}': must be 1 to {_MAX_COUNT}.", name)
        return int(raw)

    def required(self, name: str) -> Part:
        """Return the first part *name*, or the first of an array `name[]`.

        Raises:
            ApiError: There is none.
        """
        for part in self.parts:
            if part.name in (name, f"{name}[]"):
                return part
        raise missing_parameter(name)

    def _read_head(self) -> bool:
        if self._buffer.startswith(b"--"):
            self.is_finished = True
            self._buffer.clear()
            return False
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return False
        self.parts.append(_part(bytes(self._buffer[:end]).decode("utf-8", "replace")))
        del self._buffer[: end + len(_HEAD_END)]
        self._is_in_head = False
        return True

    def _read_content(self) -> bool:
        end = self._buffer.find(self._delimiter)
        kept = len(self._delimiter) - 1  # These may be the start of the delimiter.
        sure = end if end >= 0 else max(len(self._buffer) - kept, 0)
        if self.parts:
            self.parts[-1].content.feed(bytes(self._buffer[:sure]))
        if end < 0:
            del self._buffer[:sure]
            return False
        del self._buffer[: end + len(self._delimiter)]
        self._is_in_head = True
        return True


def _part(head: str) -> Part:
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n"))
    }
    _, parameters = parse_content_disposition(headers.get("content-disposition"))
    return Part(
        name=parameters.get("name", ""),
        filename=content_disposition_filename(parameters),
        content_type=headers.get("content-type", "text/plain"),
        content=Content(),
    )
