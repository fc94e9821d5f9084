"""Reading of files that another process is still writing."""

from __future__ import annotations

from pathlib import Path


def whole_lines(file: Path) -> list[str]:
    """Return the finished lines of *file*: of a write, a reader may see the beginning only."""
    finished, _, _ = file.read_bytes().rpartition(b"\n")
    return [line.decode() for line in finished.splitlines()]
