"""`keyturn local up` that does not come up: interrupted, or refused before anything runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.e2e.stack_process import LocalUp, Outcome, keyturn, pid_files, processes_of


@pytest.mark.parametrize("step", ["starting OpenBao", "setting Vault up", "starting the services"])
def test_ctrl_c_during_the_start_leaves_nothing_behind(tmp_path: Path, step: str) -> None:
    with LocalUp(tmp_path / "home") as up:
        up.wait_for(step)
        processes = processes_of(up.home)
        up.press_ctrl_c()
        ended = up.end_of(processes)

    assert ended.outcome.exit_code == 130
    assert ended.outcome.stdout.endswith("interrupted\n")
    assert (processes_of(up.home), ended.survivors, ended.pid_files) == ([], [], [])


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        refused = keyturn("local", "up", "--home", tmp_path, "--port", f"gateway-http={port}")

    assert refused.exit_code == 5
    assert f"gateway-http: port {port} of 127.0.0.1 is taken." in refused.stderr
    assert pid_files(tmp_path) == []


@pytest.mark.parametrize(
    "port", ["gateway-https=8443", "gateway-http", "gateway-http=0", "gateway-http=65536"]
)
def test_a_port_that_cannot_be_is_wrong_usage(tmp_path: Path, port: str) -> None:
    refused = keyturn("local", "up", "--home", tmp_path, "--port", port)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: --port")


@pytest.mark.parametrize("command", ["up", "demo"])
def test_an_unencrypted_upstream_elsewhere_is_refused_before_anything_runs(
    tmp_path: Path, command: str
) -> None:
    home = tmp_path / "home"

    refused = keyturn(
        "local", command, "--home", home, KEYTURN_OPENAI_BASE_URL="http://openai.example/v1"
    )

    assert (refused.exit_code, home.exists()) == (2, False)
    assert "KEYTURN_OPENAI_BASE_URL: must be an https URL" in refused.stderr


def test_status_and_down_of_nothing_say_so(tmp_path: Path) -> None:
    status = keyturn("local", "status", "--home", tmp_path)
    down = keyturn("local", "down", "--home", tmp_path)

    assert (status.exit_code, status.stdout) == (7, "")
    assert "is not up" in status.stderr
    assert down == Outcome(0, "nothing was running\n")
