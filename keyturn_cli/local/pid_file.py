"""Files that name a running process so that a reused pid is never mistaken for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_STATE_FIELD, _START_TIME_FIELD = 0, 19  # proc(5): fields 3 and 22 of stat, counted after "(comm)"
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for all time.

    Attributes:
        pid: Its id, which the system gives to another process after its end.
        start_mark: When it started, in a form that only this system's boot can have made.
    """

    pid: int
    start_mark: str

    def is_running(self) -> bool:
        """Return whether this very process still runs; a zombie does not."""
        return start_mark_of(self.pid) == self.start_mark

    def stop(self, grace_seconds: float) -> bool:
        """Send SIGTERM, after *grace_seconds* SIGKILL, and wait for the end.

        Returns:
            Whether the process was running.
        """
        with contextlib.ExitStack() as resources:
            pid_fd = _open_pid_fd(self.pid, resources)
            # Checked after the descriptor is open: from here on it cannot mean another process.
            if not self.is_running():
                return False
            for signal_number, wait_seconds in (
                (signal.SIGTERM, grace_seconds),
                (signal.SIGKILL, 10.0),  # the kernel needs no grace, only time to clean up
            ):
                self._send(signal_number, pid_fd)
                if self._wait_for_end(wait_seconds, pid_fd):
                    break
        return True

    def _send(self, signal_number: signal.Signals, pid_fd: int | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            if pid_fd is None:
                os.kill(self.pid, signal_number)
            elif sys.platform == "linux":
                signal.pidfd_send_signal(pid_fd, signal_number)

    def _wait_for_end(self, timeout_seconds: float, pid_fd: int | None) -> bool:
        if pid_fd is not None:
            poll = select.poll()
            poll.register(pid_fd, select.POLLIN)
            return bool(poll.poll(timeout_seconds * 1000))
        deadline = time.monotonic() + timeout_seconds
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def start_mark_of(pid: int) -> str | None:
    """Return what tells the process *pid* from a later one of the same id.

    Returns:
        On Linux the boot and the clock tick of its start; elsewhere what `ps` says.
        None if there is no such process, or only a zombie.
    """
    return _mark_from_proc(pid) if sys.platform == "linux" else _mark_from_ps(pid)


def write_pid_file(path: Path, pid: int) -> None:
    """Record in *path*, at once and readable by its owner only, that *pid* runs.

    Raises:
        ProcessLookupError: No such process runs.
    """
    start_mark = start_mark_of(pid)
    if start_mark is None:
        raise ProcessLookupError(pid)
    unfinished = path.with_suffix(".new")
    try:
        unfinished.touch(mode=0o600)
        unfinished.write_text(f"{pid} {start_mark}\n")
        unfinished.replace(path)
    finally:  # Ctrl-C can come between any two lines
        unfinished.unlink(missing_ok=True)


def read_pid_file(path: Path) -> ProcessIdentity | None:
    """Return the process that *path* names; None if the file is missing or malformed."""
    try:
        pid, start_mark = path.read_text().strip().split(" ", 1)
        identity = ProcessIdentity(int(pid), start_mark)
    except (FileNotFoundError, ValueError):
        return None
    # kill(2) takes 0 and negative numbers for whole groups of processes.
    return identity if identity.pid > 0 else None


def _mark_from_proc(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[_STATE_FIELD] in {"Z", "X"}:
        return None
    return f"{_BOOT_ID_FILE.read_text().strip()}:{fields[_START_TIME_FIELD]}"


def _mark_from_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, start_time = answer.stdout.strip().partition(" ")
    return None if state.startswith("Z") else start_time.strip() or None


def _open_pid_fd(pid: int, resources: contextlib.ExitStack) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        pid_fd = os.pidfd_open(pid)
    except OSError:
        return None  # no such process, or a kernel older than 5.3
    resources.callback(os.close, pid_fd)
    return pid_fd
