"""Become another program that the kernel kills when the process that started it ends.

Run as a file, by an isolated interpreter: `python -I -S die_with_parent.py PARENT_PID COMMAND...`.
It stands between `ChildProcess` and the program because a `preexec_fn` would run Python in a
forked copy of a process that may have threads, and those threads may hold locks.
The pid stays the same: this program replaces itself. Linux only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_EXIT_PARENT_GONE = 125


def main() -> None:
    """Ask for SIGKILL at the parent's end, then become the command."""
    parent_pid, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        # The parent ended before the kernel was asked, so nobody would stop this process.
        sys.exit(_EXIT_PARENT_GONE)
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted, and the path is absolute


if __name__ == "__main__":
    main()
