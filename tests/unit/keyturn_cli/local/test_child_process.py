from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn_cli.local.child_process import ChildProcess, stop_recorded
from keyturn_cli.local.errors import (
    AlreadyRunningError,
    ChildDiedError,
    ChildNotReadyError,
    LocalStackError,
    ProgramNotFoundError,
)
from keyturn_cli.local.pid_file import read_pid_file, start_mark_of

_SAY_READY_AND_WAIT = "import signal; print('ready', flush=True); signal.pause()"
_IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


class Children:
    """Starts Python children in one folder, and leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        self.log_file = folder / "logs" / "child.log"
        self._made: list[ChildProcess] = []

    def make(
        self, program: str, name: str = "child", environment: dict[str, str] | None = None
    ) -> ChildProcess:
        child = ChildProcess(
            name,
            [sys.executable, "-S", "-c", program],
            run_dir=self.run_dir,
            log_file=self.log_file.with_stem(name),
            environment=environment,
        )
        self._made.append(child)
        return child

    def start(self, program: str = _SAY_READY_AND_WAIT, name: str = "child") -> ChildProcess:
        child = self.make(program, name)
        child.start()
        child.wait_until_ready(lambda: "ready" in child.log_tail(), 10)
        return child

    def stop(self) -> None:
        for child in self._made:
            child.stop(grace_seconds=0)


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(tmp_path)
    yield made
    made.stop()


def _ended(child: ChildProcess) -> str:
    assert child.wait(10) == 0, child.log_tail()
    return child.log_tail()


def test_output_and_errors_are_appended_to_a_log_of_its_owner(children: Children) -> None:
    program = "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n')"
    for _ in range(2):
        child = children.make(program)
        child.start()
        _ended(child)
        child.stop()

    assert children.log_file.read_text() == "out\nerr\n" * 2
    assert stat.S_IMODE(children.log_file.stat().st_mode) == 0o600


def test_a_log_that_others_could_read_is_closed_to_them(children: Children) -> None:
    children.log_file.parent.mkdir()
    children.log_file.touch(mode=0o644)

    children.start()

    assert stat.S_IMODE(children.log_file.stat().st_mode) == 0o600


def test_a_child_inherits_no_credential(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "VAULT_TOKEN", "BAO_ADDR", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "leaked")
    child = children.make(
        "import json, os; print(json.dumps(dict(os.environ)))", environment={"SETTINGS": "a.toml"}
    )

    child.start()

    seen = json.loads(_ended(child))
    assert "leaked" not in seen.values()
    assert seen["SETTINGS"] == "a.toml"
    assert seen["PATH"] == os.environ["PATH"]


def test_a_variable_of_the_openai_sdk_is_refused(children: Children) -> None:
    with pytest.raises(ValueError, match=r"OPENAI_\*"):
        children.make("pass", environment={"OPENAI_API_KEY": "x"})


def test_standard_input_reaches_the_child_and_ends(children: Children) -> None:
    child = children.make("import sys; print(sys.stdin.read()[::-1])")

    child.start(stdin=b"terces")

    assert _ended(child) == "secret"


def test_a_child_that_reads_no_input_is_no_error(children: Children) -> None:
    child = children.make("import os; os.close(0)")

    child.start(stdin=b"x" * 60_000)

    assert child.wait(10) == 0


def test_ctrl_c_at_the_terminal_does_not_reach_a_child(children: Children) -> None:
    child = children.start()

    assert child.pid is not None
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid != os.getsid(0)


def test_stop_ends_a_child_and_removes_its_pid_file(children: Children) -> None:
    child = children.start()
    recorded = read_pid_file(child.pid_file)
    assert recorded is not None
    assert recorded.pid == child.pid
    assert stat.S_IMODE(child.pid_file.stat().st_mode) == 0o600

    child.stop()

    assert child.wait() == -signal.SIGTERM
    assert not child.is_running()
    assert not child.pid_file.exists()
    assert start_mark_of(recorded.pid) is None
    child.stop()


def test_a_child_that_ignores_sigterm_is_killed(children: Children) -> None:
    child = children.start(_IGNORE_SIGTERM + _SAY_READY_AND_WAIT)

    child.stop(grace_seconds=0.05)

    assert child.wait() == -signal.SIGKILL


def test_a_child_that_dies_at_start_is_reported_with_the_end_of_this_runs_log(
    children: Children,
) -> None:
    children.log_file.parent.mkdir()
    children.log_file.write_text("of an earlier run\n")
    child = children.make("print('line\\n' * 100 + 'no such setting: x'); raise SystemExit(3)")
    child.start()

    with pytest.raises(ChildDiedError, match="status 3") as caught:
        child.wait_until_ready(lambda: False, 10)

    assert caught.value.exit_status == 3
    assert caught.value.log_tail == "\n".join(["line"] * 19 + ["no such setting: x"])
    assert str(children.log_file) in str(caught.value)


def test_a_child_that_is_never_ready_is_reported_and_left_running(children: Children) -> None:
    child = children.start()

    with pytest.raises(ChildNotReadyError, match=r"not ready after 0\.05 seconds"):
        child.wait_until_ready(lambda: False, 0.05)

    assert child.is_running()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    child = ChildProcess(
        "child", ["no-such-program"], run_dir=tmp_path, log_file=tmp_path / "child.log"
    )

    with pytest.raises(ProgramNotFoundError, match="no-such-program"):
        child.start()


def test_waiting_for_a_child_that_was_never_started_is_refused(children: Children) -> None:
    with pytest.raises(LocalStackError, match="was not started"):
        children.make("pass").wait()


def test_a_relative_program_is_found_from_here_and_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "where.sh").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "where.sh").chmod(0o700)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    child = ChildProcess(
        "child",
        ["./where.sh"],
        run_dir=tmp_path / "run",
        log_file=tmp_path / "child.log",
        working_dir=tmp_path / "elsewhere",
    )

    child.start()

    assert _ended(child) == str(tmp_path / "elsewhere")


def test_a_second_child_of_the_same_name_is_refused(children: Children) -> None:
    first = children.start()

    with pytest.raises(AlreadyRunningError, match=f"process {first.pid}"):
        children.make(_SAY_READY_AND_WAIT).start()

    assert first.is_running()


def test_a_child_outlives_the_thread_that_started_it(children: Children) -> None:
    thread = threading.Thread(target=children.start)
    thread.start()
    thread.join()
    recorded = read_pid_file(children.run_dir / "child.pid")

    assert recorded is not None
    assert recorded.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of the dead")
def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    supervisor = f"""
import pathlib, os, signal, sys
from keyturn_cli.local.child_process import ChildProcess
folder = pathlib.Path({str(tmp_path)!r})
child = ChildProcess("child", [sys.executable, "-c", {_IGNORE_SIGTERM + _SAY_READY_AND_WAIT!r}],
                     run_dir=folder, log_file=folder / "child.log")
child.start()
child.wait_until_ready(lambda: "ready" in child.log_tail(), 10)
os.kill(os.getpid(), signal.SIGKILL)
"""

    ended = subprocess.run([sys.executable, "-c", supervisor], check=False)

    assert ended.returncode == -signal.SIGKILL
    child = read_pid_file(tmp_path / "child.pid")
    assert child is not None
    while child.is_running():
        os.sched_yield()


def test_stop_recorded_stops_the_supervisor_first_and_removes_the_files(
    children: Children,
) -> None:
    names = ["a-service", "supervisor", "z-service"]
    started = [children.start(name=name) for name in names]

    stopped = stop_recorded(children.run_dir, first="supervisor")

    assert stopped[0] == "supervisor"
    assert sorted(stopped) == names
    assert all(child.wait() == -signal.SIGTERM for child in started)
    assert list(children.run_dir.iterdir()) == []


def test_stop_recorded_kills_what_ignores_sigterm(children: Children) -> None:
    child = children.start(_IGNORE_SIGTERM + _SAY_READY_AND_WAIT)

    assert stop_recorded(children.run_dir, grace_seconds=0.05) == ["child"]
    assert child.wait() == -signal.SIGKILL


def test_nothing_recorded_is_nothing_to_stop(tmp_path: Path) -> None:
    assert stop_recorded(tmp_path / "missing") == []


def test_a_process_that_got_the_pid_of_an_earlier_child_is_left_alone(children: Children) -> None:
    stranger = children.start()
    assert stranger.pid is not None
    mark = start_mark_of(stranger.pid)
    stranger.pid_file.write_text(f"{stranger.pid} {mark}0\n")

    assert stop_recorded(children.run_dir) == []
    assert stranger.is_running()
    assert not stranger.pid_file.exists()
