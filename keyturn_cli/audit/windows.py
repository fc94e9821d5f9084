"""The times in which administrators may change things, as they are typed and kept in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from keyturn_cli.audit.entries import parse_time_us
from keyturn_cli.audit.options import Window

_COMMENT: Final = "#"


def parse_window(typed: str) -> Window:
    """Return the window that *typed*, `FROM/TO` in ISO 8601, means; without an offset in UTC.

    Raises:
        ValueError: It means none.
    """
    start_us, end_us = (parse_time_us(part.strip()) for part in _halves(typed))
    if start_us is None or end_us is None or end_us < start_us:
        raise ValueError(
            "a window is FROM/TO, two ISO 8601 times in their order, "
            "as 2027-01-31T09:00:00Z/2027-01-31T10:00:00Z"
        )
    return Window(start_us, end_us)


def read_windows(path: Path) -> list[Window]:
    """Return the windows in the file *path*, one a line; `#` begins a comment.

    Raises:
        ValueError: The file cannot be read, or a line is no window; the text names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    return list(_windows(text.splitlines()))


def _windows(lines: Sequence[str]) -> Iterator[Window]:
    for number, line in enumerate(lines, start=1):
        typed = line.partition(_COMMENT)[0].strip()
        if typed:
            try:
                yield parse_window(typed)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error


def _halves(typed: str) -> tuple[str, str]:
    start, _, end = typed.partition("/")
    return start, end
