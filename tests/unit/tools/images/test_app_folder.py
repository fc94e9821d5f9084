"""The command of an image: what it calls, and that it can be stopped before it is there."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.images import app_folder

_PROGRAM = """\
import {imported}

def main():
    print("called", flush=True)
    return 3
"""
_WAITS = 'sys; print("importing", flush=True); import time; time.sleep(60)'
_STOPPED = 128 + signal.SIGTERM


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setattr(app_folder, "PYTHON", python)
    app_folder.write_command("ours", "program:main")
    return python.with_name("ours")


def _start(command: Path, program: str) -> subprocess.Popen[bytes]:
    modules = command.parents[1]
    (modules / "program.py").write_text(program, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(modules)}
    return subprocess.Popen([command], env=environment, stdout=subprocess.PIPE)


def test_a_command_ends_with_the_code_that_its_entry_point_returns(command: Path) -> None:
    with _start(command, _PROGRAM.format(imported="sys")) as process:
        output, _ = process.communicate()

    assert (process.returncode, output) == (3, b"called\n")


def test_a_command_is_stopped_while_it_imports(command: Path) -> None:
    with _start(command, _PROGRAM.format(imported=_WAITS)) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60.0)[0]
        process.send_signal(signal.SIGTERM)
        process.communicate()

    assert process.returncode == _STOPPED


def test_a_module_beside_the_command_is_not_imported(command: Path) -> None:
    command.with_name("program.py").write_text("raise SystemExit(9)\n", "utf-8")

    with _start(command, _PROGRAM.format(imported="sys")) as process:
        process.communicate()

    assert process.returncode == 3
