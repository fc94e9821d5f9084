"""A process that stands still: it holds its connections and answers on none."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.002
STOPPED = "T"


@contextmanager
def suspended(pid: int | None) -> Iterator[None]:
    """Let the process *pid* stand still inside of the block.

    A signal stops a process of several threads a while after it was sent: on a busy machine a
    server can still answer a call meanwhile. So this waits for the last thread.

    Raises:
        ProcessLookupError: It does not run.
        TimeoutError: It does not stop.
    """
    if pid is None:
        message = "the process does not run"
        raise ProcessLookupError(message)
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _stands_still(pid):
            if time.monotonic() > deadline:
                message = f"process {pid} goes on after SIGSTOP"
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Tell whether each thread of *pid* is stopped, from proc(5)."""
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == STOPPED for stat in stats)
