from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn_cli.__main__ import keyturn
from keyturn_cli.exit_codes import ExitCode
from tests.unit.keyturn_cli.audit.key_use_lines import (
    APP,
    KEY,
    asked,
    lease_at,
    opening_line,
    read_line,
    service_line,
    settlement_line,
    use_lines,
)
from tests.unit.keyturn_cli.audit.made_logs import text_of

OTHER_APP = "spiffe://keyturn.local/app/other"
Audit = Callable[..., Result]
_ACQUIRED = {
    "event": "rpc",
    "method": "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease",
    "key": KEY,
    "request_id": "request",
}


@pytest.fixture
def audit() -> Audit:
    def run(*arguments: str | Path, **variables: str) -> Result:
        environment = {"KEYTURN_CLIENT_ENV": "", **variables}
        command = ["audit", *map(str, arguments)]
        return CliRunner(env=environment).invoke(keyturn, command, catch_exceptions=False)

    return run


def _with_requests(*answers: bytes) -> bytes:
    """Return a log of *answers*, each behind its request."""
    requests = [line.replace(b'"response"', b'"request"', 1) for line in answers]
    return text_of(line for pair in zip(requests, answers, strict=True) for line in pair)


def _damaged_log(beside: Path) -> Path:
    """Return another log than *beside*, of the same uses, which breaks off."""
    damaged = beside.with_name("old.log.gz")
    text = _with_requests(asked(-120, "read", "sys/health", key="")) + beside.read_bytes() * 50
    damaged.write_bytes(gzip.compress(text)[:-20])
    return damaged


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(
        _with_requests(
            asked(-60, "read", "sys/health", key=""),
            *use_lines(0),
            *use_lines(10),
            read_line(20, lease_at(20), app=OTHER_APP),
        )
    )
    return path


@pytest.fixture
def service_log(tmp_path: Path) -> Path:
    path = tmp_path / "keyvault-svc.log"
    path.write_bytes(
        text_of(
            [
                settlement_line(1, made=0),
                settlement_line(11, made=10, model="gpt-4o"),
                service_line(10.01, **_ACQUIRED, app=APP, lease=lease_at(10)),
                service_line(20.1, **_ACQUIRED, app=OTHER_APP, reason="NOT_GRANTED"),
            ]
        )
    )
    return path


def test_the_report_is_a_table_of_who_used_which_key_when(audit: Audit, log: Path) -> None:
    result = audit("report", log)

    assert result.exit_code == ExitCode.OK
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["KEY", "APP", "DAY", "USES", "REFUSED", "FIRST", "LAST"],
        [KEY, APP, "2026-02-03", "2", "0", "2026-02-03T10:00:00Z", "2026-02-03T10:00:10Z"],
        [KEY, OTHER_APP, "2026-02-03", "0", "1", "2026-02-03T10:00:20Z", "2026-02-03T10:00:20Z"],
        ["total", "-", "-", "2", "1", "2026-02-03T10:00:00Z", "2026-02-03T10:00:20Z"],
    ]
    assert not result.stderr


@pytest.mark.parametrize("command", [["report"], ["key", KEY]])
def test_who_watches_sees_how_far_the_reading_is(log: Path, command: list[str]) -> None:
    terminal, side_of_command = os.openpty()
    program = [sys.executable, "-m", "keyturn_cli", "audit", *command, "-"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=side_of_command
    ) as process:
        os.close(side_of_command)
        assert process.stdin is not None
        process.stdin.write(log.read_bytes())
        process.stdin.flush()
        shown = b""
        while b" lines, " not in shown:
            shown += os.read(terminal, 1000)
        process.stdin.close()
        process.wait()
    os.close(terminal)

    assert b"found" not in shown


def test_csv_is_for_spreadsheets(audit: Audit, log: Path, service_log: Path) -> None:
    result = audit("report", log, "--service-log", service_log, "--csv", "--by", "app,key")

    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert (first["app"], first["key"], first["uses"]) == (APP, KEY, "2")
    assert (first["input_tokens"], first["usd"]) == ("20", "0.5")
    assert (second["refused"], second["reasons"]) == ("1", "NOT_GRANTED (1)")


def test_a_model_that_is_a_formula_is_text_in_csv(
    audit: Audit, log: Path, service_log: Path
) -> None:
    service_log.write_bytes(text_of([settlement_line(1, made=0, model="=1+1")]))

    result = audit("report", log, "--service-log", service_log, "--csv")

    assert ",'=1+1 (1)," in result.stdout


def test_json_tells_rows_and_their_sum(audit: Audit, log: Path) -> None:
    document = json.loads(audit("report", log, "--json", "--by", "owner").stdout)

    (row,) = document["rows"]
    assert (row["owner"], row["use_count"], row["refused_count"]) == ("users/alice", 2, 1)
    assert row["first_time"] == "2026-02-03T10:00:00.005Z"
    assert row["input_tokens"] is None
    assert document["total"]["use_count"] == 2
    assert document["rest"] is None
    assert (document["bad_vault_line_count"], document["unread"]) == (0, [])


def test_only_what_is_chosen_is_reported(audit: Audit, log: Path) -> None:
    until = ("--until", "2026-02-03T10:00:05Z")

    chosen = audit("report", log, "--by", "key", "--app", APP, "--owner", "alice", *until)
    nothing = audit("report", log, "--since", "2026-02-04")

    assert chosen.stdout.splitlines()[1].split()[:3] == [KEY, "1", "0"]
    assert (nothing.stdout, nothing.stderr) == ("", "No key was used, by these logs.\n")


def test_openings_past_the_rules_are_pointed_out(audit: Audit, log: Path) -> None:
    log.write_bytes(log.read_bytes() + _with_requests(opening_line(30, "", role="root", key="")))

    result = audit("report", log)

    assert "1 openings were past the rules" in result.stderr
    assert "1 of all openings name no key" in result.stderr
    assert "total" in result.stdout


def test_a_log_that_cannot_be_read_whole_is_told(audit: Audit, log: Path) -> None:
    result = audit("report", _damaged_log(log))

    assert result.exit_code == ExitCode.USAGE
    assert "could not be read" in result.stderr


def test_a_line_that_cannot_be_read_is_told(audit: Audit, log: Path) -> None:
    log.write_bytes(log.read_bytes() + b"no entry\n")

    assert "1 lines of Vault's audit logs cannot be read" in audit("report", log).stderr


@pytest.mark.parametrize("by", ["", "model", "key,key", "key,,app"])
def test_what_a_row_cannot_be_of_is_refused(audit: Audit, log: Path, by: str) -> None:
    result = audit("report", log, "--by", by)

    assert result.exit_code == ExitCode.USAGE
    assert "must be some of owner, key, app, day, hour" in result.stderr


@pytest.mark.parametrize("name", ["openai", "alice/keys/openai", "users/alice"])
def test_a_key_is_named_whole(audit: Audit, log: Path, name: str) -> None:
    for result in (audit("key", name, log), audit("report", log, "--key", name)):
        assert result.exit_code == ExitCode.USAGE
        assert "Name a key whole" in result.stderr


def test_the_log_of_the_local_stack_is_read_where_none_is_given(audit: Audit, log: Path) -> None:
    result = audit("report", KEYTURN_VAULT_AUDIT_LOG=str(log))
    away = audit("report", KEYTURN_VAULT_AUDIT_LOG=str(log.with_name("away.log")))

    assert result.exit_code == ExitCode.OK
    assert away.exit_code == ExitCode.USAGE


def test_a_keys_history_is_told_in_order(audit: Audit, log: Path, service_log: Path) -> None:
    result = audit("key", KEY, log, "--service-log", service_log)

    assert result.exit_code == ExitCode.OK, result.stdout
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    words = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert words[1][:5] == ["2026-02-03T10:00:00.005Z", "opened", "gateway-svc", APP, "2"]
    assert words[2][:4] == ["2026-02-03T10:00:20.000Z", "not opened", "keyvault-svc", OTHER_APP]
    assert "NOT_GRANTED" in words[2]


def test_findings_on_a_key_are_told_and_fail(audit: Audit, log: Path) -> None:
    stolen = asked(30, "read", f"keyturn-kv/data/{KEY}", "snoop", key="")
    log.write_bytes(log.read_bytes() + _with_requests(stolen))

    told = audit("key", KEY, log)
    document = json.loads(audit("key", KEY, log, "--json").stdout)
    other = audit("key", "users/alice/keys/other", log)

    assert told.exit_code == ExitCode.PROBLEMS_FOUND
    assert "finding RECORD_READ_BY_OTHER" in told.stdout
    assert "RECORD_READ_BY_OTHER" in {finding["code"] for finding in document["findings"]}
    assert document["events"][-1]["who"] == "snoop"
    assert document["unread"] == []
    assert other.exit_code == ExitCode.CONFLICT
    assert "Nothing touched users/alice/keys/other" in other.stderr


def test_findings_on_a_key_are_told_even_if_a_log_cannot_be_read(audit: Audit, log: Path) -> None:
    damaged = _damaged_log(log)
    stolen = asked(30, "read", f"keyturn-kv/data/{KEY}", "snoop", key="")
    log.write_bytes(log.read_bytes() + _with_requests(stolen))

    result = audit("key", KEY, log, damaged)

    assert result.exit_code == ExitCode.PROBLEMS_FOUND
    assert "old.log.gz could not be read" in result.stderr


def test_a_key_of_which_not_all_logs_could_be_read_is_not_said_to_be_unknown(
    audit: Audit, log: Path
) -> None:
    result = audit("key", "users/alice/keys/other", _damaged_log(log))

    assert result.exit_code == ExitCode.USAGE
