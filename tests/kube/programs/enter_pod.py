"""Becomes a program in another root: `enter_pod UID GID [NAME=VALUE...] -- PROGRAM...`.

The root is the working directory. Where variables are said, the program gets those and no other.
It has no capability, can gain none, and ends with the process that started this one. Run as a file,
by an isolated interpreter without packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38


def _enter(user: int, group: int, variables: dict[str, str], program: list[str]) -> None:
    control = ctypes.CDLL(None, use_errno=True).prctl
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    os.chroot(".")
    # While this is root; what it has beside the bounding set goes with the user.
    asked = [(_PR_CAPBSET_DROP, capability) for capability in range(last + 1)]
    asked.append((_PR_SET_NO_NEW_PRIVS, 1))
    for option, value in asked:
        if control(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl {option} {value}")
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    # Last, for a change of the user takes it back.
    control(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execvpe(program[0], program, variables or os.environ)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _end = sys.argv.index("--")
    _said = dict(variable.split("=", 1) for variable in sys.argv[3:_end])
    _enter(int(sys.argv[1]), int(sys.argv[2]), _said, sys.argv[_end + 1 :])
