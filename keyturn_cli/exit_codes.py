"""The exit codes of the `keyturn` command: a promise to scripts."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """How a command ended. Numbers never change their meaning."""

    OK = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    CONFLICT = 4
    UNAVAILABLE = 5
    UPSTREAM_REFUSED = 6
    PROBLEMS_FOUND = 7
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done",
    ExitCode.FAULT: "internal fault of Keyturn",
    ExitCode.USAGE: "wrong usage, bad input or a missing setting",
    ExitCode.REFUSED: "refused: not granted, not the owner, not logged in",
    ExitCode.CONFLICT: "not found, exists already, limit reached, or changed meanwhile",
    ExitCode.UNAVAILABLE: "unavailable or too slow; nothing was refused, try again",
    ExitCode.UPSTREAM_REFUSED: "OpenAI refused the request, or the key itself",
    ExitCode.PROBLEMS_FOUND: "a check found problems (doctor, local status, audit)",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}


def epilog() -> str:
    """Return the table of exit codes for `keyturn --help`."""
    lines = [f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\b\nExit codes:\n" + "\n".join(lines)
