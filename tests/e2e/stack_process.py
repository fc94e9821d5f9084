"""The `keyturn` command as people start it, and what runs because of it."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from svc_runtime.secret_bytes import SecretBytes
from tests.live_files import whole_lines

KEYTURN = Path(sys.executable).with_name("keyturn")
_READY_LINE = "Stop it with"
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and all that it said."""

    exit_code: int
    stdout: str
    stderr: str = ""

    @property
    def said(self) -> str:
        """Both outputs."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class Process:
    """One process, as /proc shows it."""

    pid: int
    command_line: bytes
    environment: bytes


@dataclass(frozen=True)
class Ended:
    """How a run of the stack ended, and what it left."""

    outcome: Outcome
    survivors: list[Process]
    pid_files: list[str]


def keyturn(
    *arguments: str | Path, env_file: Path | None = None, stdin: bytes = b"", **variables: str
) -> Outcome:
    """Run `keyturn` to its end, in an environment that holds nothing but what is given."""
    if env_file is not None:
        variables["KEYTURN_CLIENT_ENV"] = str(env_file)
    ended = subprocess.run(
        [KEYTURN, *arguments],
        input=stdin,
        capture_output=True,
        env=_environment(variables),
        check=False,
    )
    return Outcome(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class LocalUp:
    """`keyturn local up`, at a terminal of its own. As a context manager it ends at the end."""

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        """Start it; returns before anything is up."""
        self.home = home
        self.output = ""
        self._process = subprocess.Popen(
            [KEYTURN, "local", "up", "--home", home, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(variables),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self.end()

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        return self._process.pid

    @property
    def env_file(self) -> Path:
        """The client.env that it writes."""
        return self.home / "client.env"

    def wait_for(self, text: str = _READY_LINE) -> None:
        """Wait until a line of its output holds *text*; by default, until the stack is up."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line.decode()
            if text in line.decode():
                return
        raise AssertionError(f"it ended before it said {text!r}:\n{self.output}")

    def press_ctrl_c(self) -> None:
        """Send SIGINT to its process group, as a terminal does."""
        os.killpg(self.pid, signal.SIGINT)

    def end(self) -> Outcome:
        """Wait for its end."""
        rest, _ = self._process.communicate(timeout=_END_SECONDS)
        self.output += rest.decode()
        return Outcome(self._process.returncode, self.output)

    def end_of(self, processes: Sequence[Process]) -> Ended:
        """Wait for its end, and for that of its *processes*."""
        return Ended(self.end(), survivors(processes), pid_files(self.home))


def processes_of(home: Path) -> list[Process]:
    """Return the processes whose command line or environment names *home*."""
    found = (_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    needle = str(home).encode()
    return [p for p in found if p is not None and needle in p.command_line + p.environment]


def sourced(env_file: Path) -> dict[str, str]:
    """Return what a shell exports once it has read *env_file*."""
    command: list[str | Path] = ["/bin/sh", "-euc", '. "$0"; exec env -0', env_file]
    exported = subprocess.run(command, env={}, capture_output=True, check=True).stdout.decode()
    pairs = (line.partition("=") for line in exported.split("\0") if line)
    return {name: value for name, _, value in pairs}


def survivors(processes: Sequence[Process], within_seconds: float = 10.0) -> list[Process]:
    """Return those of *processes* that have not ended *within_seconds*."""
    deadline = time.monotonic() + within_seconds
    return [p for p in processes if not _has_ended(p.pid, deadline - time.monotonic())]


def pid_files(home: Path) -> list[str]:
    """Return the names of the pid files in *home*."""
    return sorted(path.name for path in (home / "run").glob("*"))


@contextmanager
def standin(record: Path) -> Iterator[str]:
    """Run a stand-in for OpenAI that writes *record*; yield its base URL."""
    command: list[str | Path] = [sys.executable, "-m", "keyturn_cli.standin", "--record", record]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/v1"
        finally:
            process.terminate()


def saw_key(record: Path, api_key: SecretBytes) -> bool:
    """Tell whether a request with *api_key* stands in a stand-in's *record*."""
    digest = hashlib.sha256(b"Bearer " + api_key.expose()).hexdigest()
    requests = map(json.loads, whole_lines(record))
    return any(request["authorization_sha256"] == digest for request in requests)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}


def _process(pid: int) -> Process | None:
    folder = Path(f"/proc/{pid}")
    try:
        command_line = (folder / "cmdline").read_bytes()
        return Process(pid, command_line, (folder / "environ").read_bytes())
    except (OSError, ProcessLookupError):
        return None  # it has ended, or is not ours to read


def _has_ended(pid: int, timeout_seconds: float) -> bool:
    with ExitStack() as resources:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        resources.callback(os.close, descriptor)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout_seconds) * 1000))
