"""What can go wrong while the local stack starts or stops.

    LocalStackError
    ├── ProgramNotFoundError     a program is not installed
    ├── PortTakenError           another process listens on the port
    ├── AlreadyRunningError      an earlier run still runs
    ├── ChildDiedError           a child ended before it was ready
    ├── ChildNotReadyError       a child lives and did not get ready in time
    └── StateDamagedError        files of an earlier run do not fit together

These texts are for the person at the terminal: they name local files and ports, and carry
lines of the child's own log. They never travel over a network.
"""

from __future__ import annotations

from pathlib import Path


class LocalStackError(Exception):
    """The local stack cannot start, or cannot stop."""


class ProgramNotFoundError(LocalStackError):
    """A program that the local stack runs is not installed."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"{program}: not found beside this Python, nor on PATH. Run `make setup` first."
        )


class PortTakenError(LocalStackError):
    """Another process listens on a port that a child needs."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(
            f"{name}: port {port} of 127.0.0.1 is taken. "
            "Stop what listens there, or choose another port."
        )
        self.port = port


class AlreadyRunningError(LocalStackError):
    """The child of an earlier run still runs."""

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(f"{name}: already runs as process {pid}. Stop it with `make down`.")
        self.pid = pid


class ChildDiedError(LocalStackError):
    """A child ended before it was ready."""

    def __init__(self, name: str, exit_status: int, log_file: Path, log_tail: str) -> None:
        """Say how the child ended.

        Args:
            name: The child's name.
            exit_status: What it exited with; negative: minus the signal that ended it.
            log_file: Where its whole output is.
            log_tail: The last lines of that output, of this run only.
        """
        super().__init__(
            f"{name}: ended at start with status {exit_status}. The end of {log_file}:\n{log_tail}"
        )
        self.exit_status = exit_status
        self.log_tail = log_tail


class ChildNotReadyError(LocalStackError):
    """A child lives, and did not get ready in time."""

    def __init__(self, name: str, timeout_seconds: float, log_file: Path, log_tail: str) -> None:
        super().__init__(
            f"{name}: not ready after {timeout_seconds:g} seconds. "
            f"The end of {log_file}:\n{log_tail}"
        )
        self.log_tail = log_tail


class StateDamagedError(LocalStackError):
    """Files that an earlier run left do not fit together."""

    def __init__(self, name: str, missing: Path) -> None:
        super().__init__(
            f"{name}: was set up before, and {missing} is gone. Without it the data cannot be "
            f"used: remove {missing.parent} to begin again."
        )
