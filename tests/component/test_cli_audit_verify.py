from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn_cli.__main__ import keyturn
from keyturn_cli.exit_codes import ExitCode
from tests.unit.keyturn_cli.audit.made_logs import day, service_line, text_of, vault_line

MINUTE = 60_000
WINDOW = "2026-02-03T10:00:59Z/2026-02-03T10:01:01Z"
SNAPSHOT = text_of(
    vault_line(MINUTE, "snapshot", kind=kind, path="sys/storage/raft/snapshot")
    for kind in ("request", "response")
)
Verify = Callable[..., Result]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def verify() -> Verify:
    def run(*arguments: str | Path, **variables: str) -> Result:
        environment = {"KEYTURN_CLIENT_ENV": "", **variables}
        command = ["audit", "verify", *map(str, arguments)]
        return CliRunner(env=environment).invoke(keyturn, command, catch_exceptions=False)

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "keyturn_cli", "audit", "verify", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KEYTURN_CLIENT_ENV": ""},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(day(range(0, MINUTE, 100)))
    return path


@pytest.fixture
def tampered(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(day(range(0, MINUTE, 100), bad=[1_000, 2_000, 3_000]))
    return path


def test_a_log_in_which_nothing_is_found_is_said_to_be_so(verify: Verify, clean: Path) -> None:
    result = verify(clean)

    assert result.exit_code == ExitCode.OK
    assert result.stdout == (
        "Nothing was found: by these logs, every key was used within the rules.\n"
    )
    assert result.stderr.startswith("1,200 lines in ")
    assert " MiB of memory" in result.stderr


def test_findings_are_told_by_code_with_their_lines_and_what_to_do(
    verify: Verify, tampered: Path
) -> None:
    result = verify(tampered, "--most", "2")

    assert result.exit_code == ExitCode.PROBLEMS_FOUND
    assert result.stdout.startswith("finding LINE_UNREADABLE (3)\n")
    assert f"{tampered}:21\n" in result.stdout
    assert f"{tampered}:42\n" in result.stdout
    assert f"{tampered}:63\n" not in result.stdout
    assert "  and 1 more\n  What to do: " in result.stdout
    assert result.stdout.endswith("\n3 findings: these logs show what may not happen.\n")


def test_programs_get_one_document(verify: Verify, tampered: Path) -> None:
    result = verify(tampered, "--json", "--most", "1")

    document = json.loads(result.stdout)
    (finding,) = document["findings"]
    assert result.exit_code == ExitCode.PROBLEMS_FOUND
    assert document["finding_count"] == 3
    assert document["counts"] == {"LINE_UNREADABLE": 3}
    assert document["run"]["lines"] == 1203
    assert finding["code"] == "LINE_UNREADABLE"
    assert finding["severity"] == "finding"
    assert finding["lines"] == [f"{tampered}:21"]
    assert finding["advice"]


def test_programs_get_a_line_for_each_finding(verify: Verify, tampered: Path) -> None:
    result = verify(tampered, "--jsonl")

    lines = [json.loads(line)["lines"] for line in result.stdout.splitlines()]
    assert result.exit_code == ExitCode.PROBLEMS_FOUND
    assert lines == [[f"{tampered}:21"], [f"{tampered}:42"], [f"{tampered}:63"]]


def test_a_folder_of_rotated_logs_is_one_log(verify: Verify, clean: Path) -> None:
    older = day(range(MINUTE, 2 * MINUTE, 100))
    (clean.parent / "audit.log.1.gz").write_bytes(gzip.compress(older))

    result = verify(clean.parent, clean, "--json")

    assert result.exit_code == ExitCode.OK
    assert json.loads(result.stdout)["run"]["lines"] == 2400


def test_standard_input_is_a_log(start: Start, tampered: Path) -> None:
    process = start("-", "--json")
    stdout, _ = process.communicate(tampered.read_text())

    (finding, *_) = json.loads(stdout)["findings"]
    assert process.returncode == ExitCode.PROBLEMS_FOUND
    assert finding["lines"] == ["-:21"]


def test_a_log_that_cannot_be_read_whole_proves_nothing(verify: Verify, clean: Path) -> None:
    damaged = clean.with_name("audit.log.1.gz")
    packed = gzip.compress(day(range(MINUTE, 2 * MINUTE, 100)))
    damaged.write_bytes(packed[: len(packed) // 2])

    result = verify(clean, damaged)

    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == "Nothing is proved: not all logs could be read.\n"
    assert f"error: {damaged} could not be read: its compressed file breaks off" in result.stderr


def test_findings_weigh_more_than_what_could_not_be_read(verify: Verify, tampered: Path) -> None:
    damaged = tampered.with_name("audit.log.1.gz")
    damaged.write_bytes(gzip.compress(b"x")[:-1])

    assert verify(tampered, damaged).exit_code == ExitCode.PROBLEMS_FOUND


def test_without_an_argument_it_is_the_log_of_the_settings(verify: Verify, clean: Path) -> None:
    result = verify("--json", KEYTURN_VAULT_AUDIT_LOG=str(clean))

    assert json.loads(result.stdout)["run"]["lines"] == 1200


@pytest.fixture
def local_stack(tmp_path: Path) -> Path:
    """The `client.env` of a stack, beside the logs of its services and a file of windows."""
    home = tmp_path / "stack"
    (home / "logs").mkdir(parents=True)
    (home / "vault.log").write_bytes(day(range(0, MINUTE, 100)) + SNAPSHOT)
    for number, name in enumerate(("keyvault-svc", "gateway-svc-2", "openai-standin")):
        (home / "logs" / f"{name}.log").write_bytes(service_line(MINUTE + number) + b"\n")
    (home / "windows").write_text(f"{WINDOW}\n")
    variables = {
        "KEYTURN_VAULT_AUDIT_LOG": home / "vault.log",
        "KEYTURN_AUDIT_WINDOWS": home / "windows",
    }
    env_file = home / "client.env"
    env_file.write_text("".join(f"export {name}={path}\n" for name, path in variables.items()))
    env_file.chmod(0o600)
    return env_file


def test_without_an_argument_the_logs_of_the_local_stacks_services_are_judged_too(
    verify: Verify, local_stack: Path
) -> None:
    result = verify("--json", KEYTURN_CLIENT_ENV=str(local_stack))

    assert json.loads(result.stdout)["run"]["lines"] == 1200 + 2 + 2


def test_the_services_logs_of_one_stack_are_not_judged_with_vaults_of_another(
    verify: Verify, local_stack: Path, clean: Path
) -> None:
    result = verify(
        "--json", KEYTURN_CLIENT_ENV=str(local_stack), KEYTURN_VAULT_AUDIT_LOG=str(clean)
    )

    assert json.loads(result.stdout)["run"]["lines"] == 1200


def test_changes_in_the_windows_of_the_settings_are_expected_and_the_windows_are_told(
    verify: Verify, local_stack: Path
) -> None:
    windows = local_stack.with_name("windows")

    inside = verify("--json", KEYTURN_CLIENT_ENV=str(local_stack))
    windows.write_text("")
    outside = verify("--json", KEYTURN_CLIENT_ENV=str(local_stack))

    assert json.loads(inside.stdout)["counts"] == {}
    assert f"Changes were expected at the times in {windows}.\n" in inside.stderr
    assert json.loads(outside.stdout)["counts"] == {"SNAPSHOT_TAKEN": 1}


def test_a_file_of_windows_that_is_not_there_excuses_nothing(
    verify: Verify, local_stack: Path
) -> None:
    result = verify(KEYTURN_CLIENT_ENV=str(local_stack), KEYTURN_AUDIT_WINDOWS="/nowhere")

    assert result.exit_code == ExitCode.USAGE
    assert "--windows: /nowhere: No such file or directory" in result.stderr


def test_a_later_run_goes_on_from_the_checkpoint(verify: Verify, tampered: Path) -> None:
    checkpoint = tampered.with_name("checkpoint")
    assert verify(tampered, "--checkpoint", checkpoint).exit_code == ExitCode.PROBLEMS_FOUND

    with tampered.open("ab") as file:
        file.write(day(range(MINUTE, 2 * MINUTE, 100)))
    result = verify(tampered, "--checkpoint", checkpoint, "--json")

    assert result.exit_code == ExitCode.OK
    assert json.loads(result.stdout)["run"]["lines"] == 1200


def test_a_checkpoint_that_cannot_be_used_is_left_as_it_is(verify: Verify, clean: Path) -> None:
    checkpoint = clean.with_name("checkpoint")
    checkpoint.write_bytes(b"mine\n")

    result = verify(clean, "--checkpoint", checkpoint)

    assert result.exit_code == ExitCode.USAGE
    assert "it is no checkpoint of `keyturn audit verify`" in result.stderr
    assert checkpoint.read_bytes() == b"mine\n"


def test_a_checkpoint_that_cannot_be_written_is_told(verify: Verify, clean: Path) -> None:
    result = verify(clean, "--checkpoint", clean.with_name("none") / "checkpoint")

    assert result.exit_code == ExitCode.USAGE
    assert "it cannot be written: No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "--service-log", "-"], "Standard input can be one log only."),
        (["-", "--json", "--jsonl"], "--json prints one document at the end"),
        (["-", "--json", "--follow"], "--json prints one document at the end"),
        (["-", "--window", "yesterday"], "a window is FROM/TO"),
        (["-", "--service-network", "here"], "'here' does not appear to be an IPv4 or IPv6"),
        (["none.log"], "Path 'none.log' does not exist"),
    ],
)
def test_what_contradicts_itself_or_means_nothing_is_refused(
    verify: Verify, arguments: list[str], words: str
) -> None:
    result = verify(*arguments)

    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr


def test_who_watches_sees_how_far_it_is(clean: Path) -> None:
    terminal, side_of_command = os.openpty()
    command = [sys.executable, "-m", "keyturn_cli", "audit", "verify", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=side_of_command
    ) as process:
        os.close(side_of_command)
        assert process.stdin is not None
        process.stdin.write(clean.read_bytes())
        process.stdin.flush()
        shown = b""
        while b"0 found" not in shown:
            shown += os.read(terminal, 1000)
        process.stdin.close()
        process.wait()
    os.close(terminal)

    assert b"1,200 lines, " in shown


def test_a_follower_tells_findings_as_they_come_and_ends_at_ctrl_c(
    start: Start, clean: Path
) -> None:
    process = start(clean, "--follow", "--jsonl")
    with clean.open("ab") as file:
        file.write(day([MINUTE], bad=[MINUTE]))
    assert process.stdout is not None
    finding = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate()

    assert finding["lines"] == [f"{clean}:1201"]
    assert process.returncode == ExitCode.PROBLEMS_FOUND


def test_a_follower_goes_on_through_a_rotation(start: Start, clean: Path) -> None:
    clean.write_bytes(day([0], bad=[0]))
    process = start(clean, "--follow", "--jsonl")
    assert process.stdout is not None
    before = json.loads(process.stdout.readline())
    clean.rename(clean.with_name("audit.log.1"))
    clean.write_bytes(day([MINUTE, MINUTE + 1], bad=[MINUTE + 1]))
    after = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate()

    assert before["lines"] == [f"{clean}:1"]
    assert after["lines"] == [f"{clean}:3"]
    assert process.returncode == ExitCode.PROBLEMS_FOUND


def test_ctrl_c_keeps_what_was_done_and_a_later_run_goes_on(
    start: Start, verify: Verify, tampered: Path
) -> None:
    checkpoint = tampered.with_name("checkpoint")
    process = start("-", "--jsonl", "--checkpoint", checkpoint)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(tampered.read_text())
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()

    result = verify(tampered, "--checkpoint", checkpoint, "--json")

    assert process.returncode == ExitCode.INTERRUPTED
    assert "error" not in stderr
    assert result.exit_code in {ExitCode.OK, ExitCode.PROBLEMS_FOUND}
    assert json.loads(result.stdout)["run"]["lines"] < 1203
