"""Logs that begin alike: one holds all that the other does, or they are of two minds."""

from __future__ import annotations

from contextlib import closing
from enum import Enum, auto

from keyturn_cli.audit.log_files import LogFile
from keyturn_cli.audit.log_text import DamagedLogError, LogText


class Twins(Enum):
    """What two logs with the same first line are to each other."""

    SAME = auto()
    FIRST_IS_LONGER = auto()
    SECOND_IS_LONGER = auto()
    DIFFERENT = auto()


def compare_twins(first: LogFile, second: LogFile) -> Twins:
    """Read both logs, which are no standard input, side by side.

    What of a log cannot be read, as of one that is still being packed, counts as its end.

    Raises:
        DamagedLogError, OSError: One cannot be opened.
    """
    with closing(first.open()) as one, closing(second.open()) as other:
        mine = theirs = b""
        while True:
            mine, theirs = mine or _read(one), theirs or _read(other)
            if not mine or not theirs:
                break
            count = min(len(mine), len(theirs))
            if mine[:count] != theirs[:count]:
                return Twins.DIFFERENT
            mine, theirs = mine[count:], theirs[count:]
    if not mine and not theirs:
        return Twins.SAME
    return Twins.FIRST_IS_LONGER if mine else Twins.SECOND_IS_LONGER


def _read(text: LogText) -> bytes:
    try:
        return text.read()
    except (DamagedLogError, OSError):
        return b""
