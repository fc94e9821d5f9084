"""The plain text of one log, whether it is a file, gzipped, or standard input."""

from __future__ import annotations

import os
import select
import zlib
from pathlib import Path
from typing import IO, Final, Protocol

CHUNK_BYTES: Final = 256 * 1024  # some 150 lines of Vault: more is no faster, and takes memory

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 31  # zlib's wbits for a gzip header and the largest window
_UNKNOWN_PACKING: Final = {  # what else logs are packed with, by the first bytes
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_MAGIC_BYTES: Final = 8
_PATIENCE_SECONDS: Final = 0.2  # how long one read waits for standard input


class DamagedLogError(Exception):
    """A log cannot be read, or not on from here; the text says why."""


class LogText(Protocol):
    """Plain text that is read forwards."""

    @property
    def is_ended(self) -> bool:
        """Whether no more will come, however long one waits."""

    @property
    def stored_bytes_read(self) -> int:
        """How many bytes were read as they are stored: of a gzipped log, packed ones."""

    def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Return at most *limit* next bytes; none at the end, or when there are none yet.

        Raises:
            DamagedLogError: The log breaks off, or is damaged.
            OSError: The system cannot read it.
        """

    def skip(self, count: int) -> None:
        """Leave out the next *count* bytes, or as many as there are; raise as `read` does."""

    def close(self) -> None:
        """Let go of the log."""


class PlainText:
    """A file that is not packed; it may grow while it is read."""

    is_ended: Final = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @property
    def stored_bytes_read(self) -> int:
        """How many bytes were read, or skipped."""
        return self._file.tell()

    def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Return at most *limit* next bytes; none when there are none yet."""
        return self._file.read(limit)

    def skip(self, count: int) -> None:
        """Leave out the next *count* bytes."""
        self._file.seek(count, os.SEEK_CUR)

    def stat(self) -> os.stat_result:
        """Return what the system knows of the open file."""
        return os.fstat(self._file.fileno())

    def beginning(self, count: int) -> bytes:
        """Return the first *count* bytes as they are now."""
        return os.pread(self._file.fileno(), count, 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class GzipText:
    """A gzipped file, of one member or of several."""

    def __init__(self, file: IO[bytes], beginning: bytes = b"") -> None:
        """Read *file*, of which *beginning* was read already."""
        self._file = file
        self._inflate = zlib.decompressobj(_GZIP_FORMAT)
        self._packed = beginning
        self._is_between_members = True
        self._packed_count = len(beginning)
        self.is_ended = False

    @property
    def stored_bytes_read(self) -> int:
        """How many packed bytes were read."""
        return self._packed_count

    def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Return at most *limit* next bytes; none at the end.

        Raises:
            DamagedLogError: The file is damaged, or breaks off.
        """
        try:
            while not self.is_ended:
                if text := self._inflate_some(limit):
                    return text
        except zlib.error as error:
            raise DamagedLogError("its compression is damaged") from error
        return b""

    def _inflate_some(self, limit: int) -> bytes:
        packed = self._packed or self._file.read(CHUNK_BYTES)
        if not self._packed:
            self._packed_count += len(packed)
        if not packed and self._is_between_members:
            self.is_ended = True
            return b""
        # Without packed bytes, what the decompressor still holds back comes out.
        text = self._inflate.decompress(packed, limit)
        self._packed = self._inflate.unconsumed_tail
        self._is_between_members = self._inflate.eof
        if self._inflate.eof:
            self._packed = self._inflate.unused_data.lstrip(b"\0")  # some pad the file
            self._inflate = zlib.decompressobj(_GZIP_FORMAT)
        elif not packed and not text:
            raise DamagedLogError("its compressed file breaks off")
        return text

    def skip(self, count: int) -> None:
        """Leave out the next *count* bytes of plain text, by unpacking them."""
        _read_away(self, count)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StreamText:
    """Standard input: it comes when it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._count = 0
        self.is_ended = False

    @property
    def stored_bytes_read(self) -> int:
        """How many bytes have come."""
        return self._count

    def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Return at most *limit* next bytes; none at the end, or when none come for a moment."""
        ready, _, _ = select.select([self._descriptor], [], [], _PATIENCE_SECONDS)
        if not ready:
            return b""
        text = os.read(self._descriptor, limit)
        self._count += len(text)
        self.is_ended = not text
        return text

    def skip(self, count: int) -> None:
        """Leave out the next *count* bytes."""
        _read_away(self, count)

    def close(self) -> None:
        """Leave standard input open: it is not ours."""


class BegunText:
    """A text whose beginning was read already, to know it by, and comes once more."""

    def __init__(self, beginning: bytes, text: LogText) -> None:
        self._pending = beginning
        self._text = text

    @property
    def is_ended(self) -> bool:
        """Whether no more will come."""
        return not self._pending and self._text.is_ended

    @property
    def stored_bytes_read(self) -> int:
        """How many bytes were read as they are stored."""
        return self._text.stored_bytes_read

    def read(self, limit: int = CHUNK_BYTES) -> bytes:
        """Return at most *limit* next bytes; none at the end, or when none come for a moment."""
        if not self._pending:
            return self._text.read(limit)
        text, self._pending = self._pending[:limit], self._pending[limit:]
        return text

    def skip(self, count: int) -> None:
        """Leave out the next *count* bytes."""
        _read_away(self, count)

    def close(self) -> None:
        """Let go of the text."""
        self._text.close()


def open_file(path: Path) -> PlainText | GzipText:
    """Open the log at *path*.

    Raises:
        DamagedLogError: It is packed with what cannot be unpacked here.
        OSError: It cannot be opened.
    """
    file = path.open("rb", buffering=0)
    magic = os.pread(file.fileno(), _MAGIC_BYTES, 0)
    if magic.startswith(_GZIP_MAGIC):
        return GzipText(file)
    try:
        _refuse_unknown_packing(magic)
    except DamagedLogError:
        file.close()
        raise
    return PlainText(file)


def open_stream(descriptor: int) -> LogText:
    """Take what comes at *descriptor*, plain or gzipped, as a log; wait for its first bytes.

    Raises:
        DamagedLogError: It is packed with what cannot be unpacked here.
    """
    beginning = os.read(descriptor, CHUNK_BYTES)
    if beginning.startswith(_GZIP_MAGIC):
        return GzipText(os.fdopen(descriptor, "rb", buffering=0, closefd=False), beginning)
    _refuse_unknown_packing(beginning)
    return BegunText(beginning, StreamText(descriptor))


def _refuse_unknown_packing(magic: bytes) -> None:
    for beginning, name in _UNKNOWN_PACKING.items():
        if magic.startswith(beginning):
            raise DamagedLogError(f"it is packed with {name}: unpack it first")


def _read_away(text: LogText, count: int) -> None:
    while count > 0 and not text.is_ended:
        count -= len(text.read(min(count, CHUNK_BYTES)))
