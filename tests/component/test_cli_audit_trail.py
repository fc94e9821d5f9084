from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn_cli.__main__ import keyturn
from keyturn_cli.exit_codes import ExitCode
from tests.unit.keyturn_cli.audit.key_use_lines import lease_at, opening_line, read_line
from tests.unit.keyturn_cli.audit.made_logs import text_of

Trail = Callable[..., Result]
READ = read_line(0, lease_at(0))
DECRYPT = opening_line(0.1, lease_at(0))


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    settings = tmp_path / "client.env"
    settings.touch()

    def run(*arguments: str | Path, text: bytes = b"") -> Result:
        command = ["audit", "trail", *map(str, arguments)]
        runner = CliRunner(env={"KEYTURN_CLIENT_ENV": str(settings)})
        return runner.invoke(keyturn, command, input=text, catch_exceptions=False)

    return run


def test_a_chain_is_found_over_a_folder_of_rotated_logs(trail: Trail, tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    folder.mkdir()
    (folder / "audit.log.1.gz").write_bytes(gzip.compress(text_of([READ])))
    (folder / "audit.log").write_bytes(text_of([DECRYPT]))

    result = trail("request", "--vault-log", folder)

    assert result.exit_code == ExitCode.OK, result.output
    assert "Complete chain" in result.stdout


def test_a_log_that_cannot_be_read_whole_proves_nothing(trail: Trail, tmp_path: Path) -> None:
    log = tmp_path / "audit.log.gz"
    log.write_bytes(gzip.compress(text_of([READ, DECRYPT] * 100))[:-9])

    result = trail("another-request", "--vault-log", log, "--json")

    assert result.exit_code == ExitCode.USAGE
    assert "audit.log.gz could not be read" in result.stderr
    assert json.loads(result.stdout)["verdict"] == "not found"


def test_what_may_not_happen_is_told_even_if_a_log_cannot_be_read(
    trail: Trail, tmp_path: Path
) -> None:
    log, damaged = tmp_path / "audit.log", tmp_path / "old.log.gz"
    log.write_bytes(text_of([DECRYPT]))
    damaged.write_bytes(gzip.compress(text_of([READ]))[:60])

    result = trail("request", "--vault-log", log, "--vault-log", damaged)

    assert result.exit_code == ExitCode.PROBLEMS_FOUND
    assert "old.log.gz could not be read" in result.stderr


def test_standard_input_can_be_one_log_only(trail: Trail) -> None:
    result = trail("request", "--vault-log", "-", "--service-log", "-")

    assert result.exit_code == ExitCode.USAGE
    assert "one log only" in result.stderr
