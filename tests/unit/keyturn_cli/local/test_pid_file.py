from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn_cli.local.child_process import stop_recorded
from keyturn_cli.local.pid_file import (
    ProcessIdentity,
    read_pid_file,
    start_mark_of,
    write_pid_file,
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its input to end."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_recorded_process_is_found_again(tmp_path: Path) -> None:
    write_pid_file(tmp_path / "me.pid", os.getpid())

    identity = read_pid_file(tmp_path / "me.pid")

    assert identity is not None
    assert identity.pid == os.getpid()
    assert identity.is_running()
    assert stat.S_IMODE((tmp_path / "me.pid").stat().st_mode) == 0o600


def test_a_process_that_started_at_another_time_is_not_stopped(
    sleeper: subprocess.Popen[bytes],
) -> None:
    other = ProcessIdentity(sleeper.pid, f"{start_mark_of(sleeper.pid)}0")

    assert not other.stop(grace_seconds=10)
    assert sleeper.poll() is None


def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity(sleeper.pid, start_mark_of(sleeper.pid) or "")

    assert identity.stop(grace_seconds=10)

    # Nobody has waited for it yet, so its entry is still in the process table.
    assert Path(f"/proc/{sleeper.pid}").exists() or sys.platform != "linux"
    assert not identity.is_running()
    assert not identity.stop(grace_seconds=10)
    assert sleeper.wait() == -signal.SIGTERM


@pytest.mark.parametrize("content", ["", "12", "one two", "-1 x", "0 x"])
def test_a_damaged_pid_file_stops_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "child.pid").write_text(content)

    assert stop_recorded(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
