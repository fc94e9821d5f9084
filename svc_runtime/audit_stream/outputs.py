"""Where lines go: standard output, or a file that is on disk when a write returns."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

PIECE_BYTES: Final = select.PIPE_BUF
"""What a pipe that is ready takes at once (pipe(7))."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_DSYNC | os.O_CLOEXEC
_MODE: Final = 0o600
_NEWLINE: Final = ord("\n")


class Output(Protocol):
    """Takes bytes. Its methods are called by one thread at a time."""

    def is_ready(self) -> bool:
        """Tell whether a write of `PIECE_BYTES` now would return at once."""

    def write(self, data: bytes | memoryview) -> int:
        """Write the first bytes of *data*, and return how many.

        Raises:
            OSError: None was written.
        """

    def close(self) -> None:
        """Give the file back, if it is this output's own."""


class DescriptorOutput:
    """An open file that somebody else closes, such as standard output."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def is_ready(self) -> bool:
        """Tell whether a write now would return at once: with success, or with an error."""
        return bool(self._poll.poll(0))

    def write(self, data: bytes | memoryview) -> int:
        """Write; see `Output.write`."""
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Leave it open."""


class SyncedFile:
    """A file whose every write waits for the disk.

    A file that was moved away is left for a new one between two lines, so that `logrotate` needs no
    signal. A line that a crash has cut off is ended first. No two processes write to one file: the
    halves of their lines could mix.
    """

    def __init__(self, path: Path) -> None:
        """Open *path* for appending; make it if it is missing, for its owner alone.

        Raises:
            OSError: It cannot be opened, or not be written, or another process writes to it.
        """
        self._path = path
        self._is_at_line_start = True
        self._has_failed = False
        self._descriptor = self._open()

    def is_ready(self) -> bool:
        """Say no: the disk is to be waited for."""
        return False

    def write(self, data: bytes | memoryview) -> int:
        """Write to disk; see `Output.write`."""
        if self._is_at_line_start and self._is_moved():
            descriptor = self._open()
            os.close(self._descriptor)
            self._descriptor = descriptor
        if self._has_failed and self._is_at_line_start:
            _end_line(self._descriptor)  # the disk may have kept a part of what failed
        self._has_failed = True
        count = os.write(self._descriptor, data)
        self._has_failed = False
        self._is_at_line_start = data[count - 1] == _NEWLINE
        return count

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        descriptor = os.open(self._path, _FLAGS, _MODE)
        try:
            _must_be_alone(descriptor)
            _end_line(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _is_moved(self) -> bool:
        own = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            there = self._path.stat()
            return (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino)
        return True


def _must_be_alone(descriptor: int) -> None:
    """Keep other processes from writing to the file as long as it is open.

    Raises:
        OSError: One does.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another process writes to it") from None
    except OSError:
        pass  # the file system has no locks


def _end_line(descriptor: int) -> None:
    """End the last line of a file that has one without an end."""
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        last = os.pread(descriptor, 1, status.st_size - 1)
        if last != b"\n":
            os.write(descriptor, b"\n")
