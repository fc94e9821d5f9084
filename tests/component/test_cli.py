from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from svc_runtime.secret_bytes import SecretBytes
from tests.component.cli_stage import (
    APP,
    GRANT,
    LEASE,
    FakeServices,
)

Run = Callable[..., Result]


def test_a_key_goes_in_on_standard_input_without_its_line_ending(
    run: Run, services: FakeServices, canary_key: SecretBytes
) -> None:
    result = run("keys", "add", "openai", stdin=canary_key.expose() + b"\n")

    assert (result.exit_code, result.stdout) == (0, "")
    assert services.api_keys == [canary_key.expose()]


def test_every_owner_call_has_the_token_a_request_id_and_a_deadline(
    run: Run, services: FakeServices
) -> None:
    run("keys", "list", "--timeout", "9")

    [call] = services.calls
    assert call.metadata["authorization"].startswith("Bearer ey")
    assert len(call.metadata["x-keyturn-request-id"]) == 32
    assert 5 < call.seconds_left <= 9


def test_keys_are_listed_as_a_table_without_decoration_in_a_pipe(run: Run) -> None:
    run("keys", "add", "openai", stdin=b"sk-x")

    result = run("keys", "list")

    header, row = result.stdout.splitlines()
    assert header.split() == [
        "NAME",
        "STATE",
        "VERSION",
        "AGE",
        "DUE",
        "ACTIVE",
        "GRANTS",
        "CREATOR",
    ]
    assert row.split()[:3] == ["users/alice/keys/openai", "active", "1"]
    assert result.stderr == "Nothing is due.\n"


def test_records_are_json_with_stable_names_for_programs(run: Run) -> None:
    run("keys", "add", "openai", stdin=b"sk-x")

    listed = json.loads(run("keys", "list", "--json").stdout)
    shown = json.loads(run("keys", "show", "openai", "--json").stdout)

    assert listed == {"keys": [shown]}
    assert shown == {
        "name": "users/alice/keys/openai",
        "state": "active",
        "key_version": 1,
        "create_time": "2026-01-02T03:04:05Z",
        "rotate_time": "2026-01-02T03:04:05Z",
        "expire_time": None,
        "rotate_due_time": None,
        "assurance": "standard",
        "base_url": None,
        "openai_key_id": None,
        "limits": {},
        "verification": {"outcome": "verified", "verify_time": "2026-01-02T04:04:05Z"},
        "incoming": None,
        "retiring": None,
        "active_grant_count": 0,
        "creator": "alice",
    }


def test_a_whole_name_and_another_owner_are_taken_as_typed(
    run: Run, services: FakeServices
) -> None:
    run("keys", "list", "teams/payments")

    [call] = services.calls
    assert call.request == keys_pb.ListKeysRequest(parent="teams/payments")


def test_an_empty_key_is_not_sent(run: Run, services: FakeServices) -> None:
    result = run("keys", "add", "openai", stdin=b"\n")

    assert (result.exit_code, services.calls) == (2, [])


def test_deleting_without_a_terminal_needs_yes(run: Run, services: FakeServices) -> None:
    run("keys", "add", "openai", stdin=b"sk-x")

    refused = run("keys", "delete", "openai")
    deleted = run("keys", "delete", "openai", "--yes")

    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert (deleted.exit_code, services.keys) == (0, {})
    assert deleted.stdout.startswith("Destroyed users/alice/keys/openai: 3 stored versions of its")


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "add", "sk-proj-abc"),
        ("keys", "add", "openai", "--key=sk-abc"),
        ("keys", "rotate", "openai", "sk-abcdefghijklmnopqrstuvwx"),
        ("chat", "my key is sk-abcdefghijklmnopqrstuvwx, is it good?"),
    ],
    ids=["name", "option", "extra", "within a text"],
)
def test_a_key_as_an_argument_is_refused_and_not_repeated(
    run: Run, services: FakeServices, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)

    assert (result.exit_code, services.calls) == (2, [])
    assert "shell's history" in result.stderr
    assert "sk-abc" not in result.output


def test_a_grant_is_recorded_with_its_limits(run: Run, services: FakeServices) -> None:
    limits = ("--model", "gpt-4o*", "--model", "o3", "--endpoint", "chat/completions")
    more = ("--source-cidr", "10.0.0.0/8", "--expires", "2099-01-01T00:00:00Z")

    result = run("grants", "add", "openai", "--app", APP, *limits, *more, "--yes")

    [grant] = services.grants
    assert (result.exit_code, result.stdout) == (0, f"{GRANT}\n")
    assert (grant.app, list(grant.models)) == (APP, ["gpt-4o*", "o3"])
    assert (list(grant.endpoints), list(grant.source_cidrs)) == (
        ["chat/completions"],
        ["10.0.0.0/8"],
    )
    assert grant.expire_time.ToJsonString() == "2099-01-01T00:00:00Z"


@pytest.mark.parametrize("missing", ["--app", "--model", "--endpoint"])
def test_a_grant_says_everything_aloud(run: Run, missing: str) -> None:
    options = {"--app": APP, "--model": "*", "--endpoint": "*"}
    del options[missing]

    result = run("grants", "add", "openai", *(word for pair in options.items() for word in pair))

    assert result.exit_code == 2
    assert missing in result.stderr


def test_grants_are_listed_and_revoked_by_their_short_name(run: Run) -> None:
    run("grants", "add", "openai", "--app", APP, "--model", "*", "--endpoint", "*", "--yes")
    before = json.loads(run("grants", "list", "openai", "--json").stdout)["grants"]

    revoked = run("grants", "revoke", "openai/grants/0123456789abcdef")

    after = json.loads(run("grants", "list", "openai", "--json").stdout)["grants"]
    assert revoked.exit_code == 0
    assert [before[0]["state"], after[0]["state"]] == ["active", "revoked"]
    assert before[0]["expire_time"] is None
    assert GRANT in run("grants", "list", "openai").stdout


@pytest.mark.parametrize("how", [(), ("--no-stream",)], ids=["streamed", "whole"])
def test_an_answer_goes_to_standard_output_and_the_receipt_to_standard_error(
    run: Run, how: tuple[str, ...]
) -> None:
    result = run("chat", "Hi", "--receipt", "--request-id", "demo-0001", *how)

    assert (result.exit_code, result.stdout) == (0, "Hello there.\n")
    receipt = dict(line.split("  ", 1) for line in result.stderr.splitlines())
    assert {name: value.strip() for name, value in receipt.items()} == {
        "key": "users/alice/keys/openai",
        "key version": "7",
        "grant": GRANT,
        "lease": LEASE,
        "request id": "demo-0001",
    }


def test_a_hidden_prompt_asks_once_and_shows_nothing(
    environment: dict[str, str], services: FakeServices, canary_key: SecretBytes
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "keyturn_cli", "keys", "add", "openai"]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while b"nothing is shown while you type or paste): " not in shown:
        shown += os.read(ours, 1024)

    os.write(ours, canary_key.expose() + b"\n")

    while b"Added" not in shown:
        shown += os.read(ours, 1024)
    assert process.wait() == 0
    os.close(ours)
    assert canary_key.expose() not in shown
    assert services.api_keys == [canary_key.expose()]
