"""A child of the local stack: started with a minimal environment, and surely stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from keyturn_cli.local import die_with_parent
from keyturn_cli.local.errors import (
    AlreadyRunningError,
    ChildDiedError,
    ChildNotReadyError,
    LocalStackError,
    ProgramNotFoundError,
)
from keyturn_cli.local.pid_file import read_pid_file, write_pid_file

# What a child inherits. Everything else, above all credentials, is passed by name or not at all.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_FORBIDDEN_PREFIX = "OPENAI_"  # OPENAI_API_KEY and OPENAI_BASE_URL: a key, and who receives it

DEFAULT_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 20
_LOG_TAIL_BYTES = 16_384

# Linux kills a child when the *thread* that started it ends, so all are started by one thread
# that lives as long as this process.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")


class ChildProcess:
    """One child, in a session of its own, its output appended to a log file.

    On Linux the kernel kills it if this process ends without stopping it.

    Attributes:
        name: What errors, the pid file and people call it.
        log_file: Where its standard output and error go, mode 0600.
        pid_file: `<run_dir>/<name>.pid`, there while the child runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        run_dir: Path,
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        working_dir: Path | None = None,
    ) -> None:
        """Describe the child; nothing runs yet.

        Args:
            name: A word that can be part of a file name.
            command: The program, found on PATH if it is no path, and its arguments. Any user
                of the machine can read them, so never a secret.
            run_dir: Folder of the pid files; made if missing.
            log_file: Appended to; made if missing.
            environment: Variables beside `INHERITED_VARIABLES`. Never a secret.
            working_dir: Where it runs; by default where this process does.

        Raises:
            ValueError: *environment* names a variable of the OpenAI SDK, which would let a
                service use a key that nobody granted, or send one elsewhere.
        """
        self.name = name
        self.log_file = log_file
        self.pid_file = run_dir / f"{name}.pid"
        self._command = [str(part) for part in command]
        self._environment = dict(environment or {})
        self._working_dir = working_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        if any(variable.startswith(_FORBIDDEN_PREFIX) for variable in self._environment):
            raise ValueError(f"a child never gets an {_FORBIDDEN_PREFIX}* variable")

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it does not run."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def start(self, stdin: bytes = b"") -> None:
        """Start the child; returns as soon as it runs, ready or not.

        Args:
            stdin: What it reads from its standard input, at most 64 KiB; then the end.
                The way to hand it a secret: not kept here, and seen by nobody else.

        Raises:
            AlreadyRunningError: It runs, or the child of an earlier run does.
            ProgramNotFoundError: The program is not installed.
        """
        self.refuse_if_recorded()
        program = shutil.which(self._command[0])
        if program is None:
            raise ProgramNotFoundError(self._command[0])
        self.pid_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._process = _STARTER.submit(self._spawn, program).result()
        # A child that died at once is reported by whoever waits for it, with its log.
        with contextlib.suppress(ProcessLookupError):
            write_pid_file(self.pid_file, self._process.pid)
        _feed(self._process.stdin, stdin)

    def refuse_if_recorded(self) -> None:
        """Do nothing, unless the child of this or of an earlier run still runs.

        Raises:
            AlreadyRunningError: It does.
        """
        recorded = read_pid_file(self.pid_file)
        if recorded is not None and recorded.is_running():
            raise AlreadyRunningError(self.name, recorded.pid)

    def is_running(self) -> bool:
        """Return whether the child was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, is_ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Ask *is_ready* again and again until it says yes.

        A child that fails this is left as it is: stop it.

        Raises:
            ChildDiedError: The child ended; carries the last lines of its log.
            ChildNotReadyError: *timeout_seconds* passed; carries them too.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            # Before the question: a stranger on the child's port must not answer for it.
            if not self.is_running():
                raise ChildDiedError(self.name, self.wait(), self.log_file, self.log_tail())
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise ChildNotReadyError(self.name, timeout_seconds, self.log_file, self.log_tail())
            time.sleep(_POLL_SECONDS)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the child's end and return its exit status; minus the signal if one did it.

        Raises:
            LocalStackError: The child was never started, or *timeout_seconds* passed.
        """
        if self._process is None:
            raise LocalStackError(f"{self.name}: was not started")
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise LocalStackError(f"{self.name}: still runs") from None

    def stop(self, grace_seconds: float = DEFAULT_GRACE_SECONDS) -> None:
        """End the child: SIGTERM, then after *grace_seconds* SIGKILL; harmless if it has ended."""
        if self._process is None:
            return
        # `Popen` signals only a child that it has not waited for, so the pid cannot be reused.
        self._process.terminate()
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.pid_file.unlink(missing_ok=True)

    def log_tail(self) -> str:
        """Return the last lines that the child wrote since its last start."""
        with self.log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _spawn(self, program: str) -> subprocess.Popen[bytes]:
        # Absolute, because a path relative to here means another file in `working_dir`.
        command = [str(Path(program).absolute()), *self._command[1:]]
        if sys.platform == "linux":
            launcher = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
            command = [*launcher, *command]
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(os.open(self.log_file, flags, 0o600), "ab") as log:  # noqa: PTH123  # of a descriptor
            os.fchmod(log.fileno(), 0o600)  # a log that was there may have another mode
            self._log_start = log.seek(0, os.SEEK_END)
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_inherited_environment() | self._environment,
                cwd=self._working_dir,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops in order
            )


def stop_recorded(
    run_dir: Path, *, first: str | None = None, grace_seconds: float = DEFAULT_GRACE_SECONDS
) -> list[str]:
    """Stop what the pid files of *run_dir* name, from any process, and remove the files.

    A pid that another process has by now is left alone.

    Args:
        run_dir: Folder of the pid files; may be missing.
        first: Name of the process to stop before all others: the one that stops them itself.
        grace_seconds: Seconds from SIGTERM to SIGKILL, for each.

    Returns:
        Names of the processes that were running, in the order in which they were stopped.
    """
    stopped = []
    for path in sorted(run_dir.glob("*.pid"), key=lambda path: path.stem != first):
        process = read_pid_file(path)
        if process is not None and process.stop(grace_seconds):
            stopped.append(path.stem)
        path.unlink(missing_ok=True)
    return stopped


def _inherited_environment() -> dict[str, str]:
    environment = os.environ  # noqa: TID251  # no setting of ours: what a program needs to run at all
    return {name: environment[name] for name in INHERITED_VARIABLES if name in environment}


def _feed(pipe: IO[bytes] | None, stdin: bytes) -> None:
    # A child that ended, or closed its input, is no error here: waiting for it tells.
    if pipe is not None:
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(stdin)
