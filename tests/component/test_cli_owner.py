from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.component.cli_stage import APP, GRANT, FakeServices

Run = Callable[..., Result]
NAME = "users/alice/keys/openai"


@pytest.fixture
def added(run: Run) -> str:
    run("keys", "add", "openai", stdin=b"sk-one")
    run("grants", "add", "openai", "--app", APP, "--model", "*", "--endpoint", "*", "--yes")
    return NAME


def test_an_export_holds_keys_grants_and_what_is_kept_elsewhere(run: Run, added: str) -> None:
    result = run("owner", "export")

    export = json.loads(result.stdout)
    [key] = export["keys"]
    assert (result.exit_code, export["name"]) == (0, "users/alice")
    assert export["export_time"] == "2026-01-02T03:04:05Z"
    assert key["key"] == json.loads(run("keys", "show", added, "--json").stdout)
    assert [grant["name"] for grant in key["grants"]] == [GRANT]
    assert export["retention_notices"] == [
        {
            "place": "vault_backups",
            "content": "Sealed keys.",
            "retention_seconds": 30 * 86400,
            "gone_time": "2026-02-01T03:04:05Z",
        },
        {
            "place": "service_logs",
            "content": "Names.",
            "retention_seconds": None,
            "gone_time": None,
        },
    ]


def test_an_export_goes_to_a_new_private_file(run: Run, added: str, tmp_path: Path) -> None:
    file = tmp_path / "export.json"

    first = run("owner", "export", "alice", "--output", str(file))
    second = run("owner", "export", "alice", "--output", str(file))

    assert (first.exit_code, first.stdout, second.exit_code) == (0, "", 2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["keys"][0]["key"]["name"] == added


def test_an_export_to_nowhere_is_told(run: Run, tmp_path: Path) -> None:
    result = run("owner", "export", "--output", str(tmp_path / "nowhere" / "export.json"))

    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)


@pytest.mark.usefixtures("added")
def test_an_erasure_reports_what_it_destroyed_and_what_stays(
    run: Run, services: FakeServices
) -> None:
    result = run("owner", "erase", "--yes")

    proof, blank, _, backups, logs = result.stdout.splitlines()
    assert (result.exit_code, services.keys) == (0, {})
    assert proof.startswith(f"Destroyed {NAME}: 3 stored versions")
    assert blank == ""
    assert backups == ("  Vault backups: Sealed keys. Kept for 30 d, gone by 2026-02-01 03:04Z.")
    assert logs == "  Service logs: Names. Until when is not declared: ask your operator."


def test_an_owner_without_keys_is_erased_all_the_same(run: Run) -> None:
    result = run("owner", "erase", "teams/payments", "--yes", "--json")
    told = run("owner", "erase", "teams/payments", "--yes")

    report = json.loads(result.stdout)
    assert (result.exit_code, report["name"], report["proofs"]) == (0, "teams/payments", [])
    assert told.stdout.startswith("teams/payments held no keys")


@pytest.mark.usefixtures("added")
def test_erasing_without_a_terminal_needs_yes(run: Run, services: FakeServices) -> None:
    result = run("owner", "erase")

    assert (result.exit_code, "--yes" in result.stderr) == (2, True)
    assert NAME in services.keys


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(
    ("typed", "exit_code", "left"),
    [(b"users/alice\n", 0, set()), (b"alice\n", 2, {NAME}), (b"\n", 2, {NAME})],
    ids=["whole name", "part of it", "nothing"],
)
def test_an_erasure_goes_on_when_the_owner_s_name_is_typed(
    environment: dict[str, str],
    services: FakeServices,
    typed: bytes,
    exit_code: int,
    left: set[str],
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "keyturn_cli", "owner", "erase"],
        env={**os.environ, **environment},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    os.write(ours, typed)

    process.communicate()

    os.close(ours)
    assert (process.returncode, set(services.keys)) == (exit_code, left)
