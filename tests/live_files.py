"""Reading of files that another process is still writing.

Of a write, a reader may see the beginning only: a line counts once its end is there.
"""

from __future__ import annotations

from pathlib import Path


def whole_lines(file: Path) -> list[str]:
    """Return the finished lines of *file*."""
    return FollowedFile(file).new_lines()


class FollowedFile:
    """A file whose lines are read once each."""

    def __init__(self, file: Path) -> None:
        """Begin at its first line."""
        self._file = file
        self._position = 0

    def new_lines(self) -> list[str]:
        """Return the lines that were finished since the last time."""
        with self._file.open("rb") as opened:
            opened.seek(self._position)
            finished, end, _ = opened.read().rpartition(b"\n")
        self._position += len(finished + end)
        return [line.decode() for line in finished.splitlines()]
