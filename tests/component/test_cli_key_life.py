from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from click.testing import Result

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyvault_svc.domain.errors import KeyDuplicateError, KeyStateConflictError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.component.cli_stage import FakeServices

Run = Callable[..., Result]
NAME = "users/alice/keys/openai"
VERIFIED = key_pb.VERIFICATION_OUTCOME_VERIFIED


@pytest.fixture
def added(run: Run) -> str:
    run("keys", "add", "openai", stdin=b"sk-one")
    return NAME


def test_an_added_key_is_waited_for_until_it_serves(run: Run, services: FakeServices) -> None:
    result = run("keys", "add", "openai", stdin=b"sk-one")

    assert (result.exit_code, services.keys[NAME].state) == (0, key_pb.KEY_STATE_ACTIVE)
    assert result.stderr.splitlines() == [
        f"Added {NAME}, version 1.",
        f"Waiting until {NAME} is verified at OpenAI ...",
        f"Verified: {NAME} is active with version 1.",
    ]


def test_looks_at_a_key_stay_out_of_the_trail_of_its_intake(
    run: Run, services: FakeServices
) -> None:
    run("keys", "add", "openai", stdin=b"sk-one")

    intake, *looks = [call.metadata["x-keyturn-request-id"] for call in services.calls]
    assert looks
    assert intake not in looks


def test_expiry_and_assurance_go_in_with_the_key(run: Run, services: FakeServices) -> None:
    choices = ("--expires", "2099-01-01T00:00:00Z", "--assurance", "high")

    run("keys", "add", "openai", *choices, stdin=b"sk-one")

    key = services.keys[NAME]
    assert key.expire_time.ToJsonString() == "2099-01-01T00:00:00Z"
    assert key.assurance == key_pb.KEY_ASSURANCE_HIGH


@pytest.mark.parametrize(
    ("outcome", "exit_code", "told", "hint"),
    [
        (key_pb.VERIFICATION_OUTCOME_WRONG_KEY, 6, "does not know this key", f"rotate {NAME}"),
        (key_pb.VERIFICATION_OUTCOME_NO_QUOTA, 6, "no quota", f"verify {NAME}"),
        (key_pb.VERIFICATION_OUTCOME_NO_PERMISSION, 6, "not permit", "model.request"),
        (key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE, 5, "not be reached", f"show {NAME}"),
    ],
    ids=["wrong key", "no quota", "no permission", "OpenAI unreachable"],
)
def test_a_key_that_is_not_verified_is_told_with_what_to_do(
    run: Run,
    services: FakeServices,
    outcome: key_pb.VerificationOutcome.ValueType,
    exit_code: int,
    told: str,
    hint: str,
) -> None:
    services.outcome = outcome

    result = run("keys", "add", "openai", "--json", stdin=b"sk-one")

    *_, error, to_do = result.stderr.splitlines()
    assert (result.exit_code, told in error, hint in to_do) == (exit_code, True, True)
    said = key_pb.VerificationOutcome.Name(outcome).removeprefix("VERIFICATION_OUTCOME_").lower()
    assert json.loads(result.stdout)["verification"]["outcome"] == said


def test_a_wait_ends_with_its_time(run: Run, services: FakeServices) -> None:
    services.outcome = None

    result = run("keys", "add", "openai", "--wait", "0.01", "--json", stdin=b"sk-one")

    assert (result.exit_code, json.loads(result.stdout)["state"]) == (5, "pending")
    assert "has not ended within 0.01 s" in result.stderr


def test_who_does_not_wait_is_told_where_to_look(run: Run, services: FakeServices) -> None:
    result = run("keys", "add", "openai", "--no-wait", stdin=b"sk-one")

    assert (result.exit_code, len(services.calls)) == (0, 1)
    assert f"keyturn keys show {NAME}" in result.stderr


def test_a_rotation_tells_how_to_undo_it(run: Run, services: FakeServices, added: str) -> None:
    result = run("keys", "rotate", "openai", "--overlap", "48h", stdin=b"sk-two\r\n")

    requests = [call.request for call in services.calls]
    [request] = [r for r in requests if isinstance(r, keys_pb.RotateKeyRequest)]
    assert (services.api_keys[-1], request.overlap.ToTimedelta()) == (
        b"sk-two",
        timedelta(hours=48),
    )
    assert result.exit_code == 0
    assert f"Verified: {added} is active with version 2." in result.stderr
    assert f"`keyturn keys undo-rotation {added}` brings it back" in result.stderr


def test_a_failed_rotation_leaves_the_old_key_serving(
    run: Run, services: FakeServices, added: str
) -> None:
    services.outcome = key_pb.VERIFICATION_OUTCOME_WRONG_KEY

    result = run("keys", "rotate", added, stdin=b"sk-two")
    listed = run("keys", "list")

    assert result.exit_code == 6
    assert "The old key, version 1, goes on serving." in result.stderr
    assert listed.stderr == "Due: openai (incoming rejected: rotate again).\n"


def test_a_rotation_is_undone(run: Run, added: str) -> None:
    run("keys", "rotate", "openai", stdin=b"sk-two")

    result = run("keys", "undo-rotation", "openai")

    assert result.exit_code == 0
    assert result.stderr == f"Undone: {added} is active with version 1.\n"


def test_undoing_names_the_version_so_that_a_repetition_takes_nothing_more_back(
    run: Run, services: FakeServices, added: str
) -> None:
    run("keys", "rotate", "openai", stdin=b"sk-two")
    services.outcome = None
    run("keys", "rotate", "openai", "--no-wait", stdin=b"sk-three")

    run("keys", "undo-rotation", "openai")
    again = run("keys", "undo-rotation", "openai", "--version", "3")

    requests = [call.request for call in services.calls]
    named = [r.key_version for r in requests if isinstance(r, keys_pb.UndoRotationRequest)]
    assert (named, again.exit_code, services.keys[added].key_version) == ([3, 3], 0, 2)


@pytest.mark.usefixtures("added")
def test_an_undoing_of_which_nothing_is_known_tells_how_to_make_sure(
    run: Run, services: FakeServices
) -> None:
    services.failure = (VaultUnavailableError(), grpc.StatusCode.UNAVAILABLE)

    result = run("keys", "undo-rotation", "openai", "--version", "2")

    assert (result.exit_code, "VAULT_UNAVAILABLE" in result.stderr) == (5, True)
    assert f"`keyturn keys undo-rotation {NAME} --version 2`" in result.stderr


@pytest.mark.parametrize("typed", ["1x", "-1h", "soon", ""])
def test_an_overlap_is_a_duration(run: Run, services: FakeServices, typed: str) -> None:
    result = run("keys", "rotate", "openai", f"--overlap={typed}", stdin=b"sk-two")

    assert (result.exit_code, services.calls) == (2, [])


def test_a_verification_is_a_new_one(run: Run, services: FakeServices, added: str) -> None:
    services.outcome = key_pb.VERIFICATION_OUTCOME_NO_QUOTA

    failed = run("keys", "verify", added)
    services.outcome = VERIFIED
    mended = run("keys", "verify", added)

    assert (failed.exit_code, mended.exit_code) == (6, 0)
    assert f"{added} stays active" in failed.stderr


def test_a_key_is_switched_off_and_verified_when_it_is_switched_on(
    run: Run, services: FakeServices, added: str
) -> None:
    off = run("keys", "disable", added, "--json")
    on = run("keys", "enable", added)

    assert (off.exit_code, json.loads(off.stdout)["state"]) == (0, "disabled")
    assert (on.exit_code, services.keys[added].state) == (0, key_pb.KEY_STATE_ACTIVE)


def test_a_key_that_is_on_already_is_not_waited_for(
    run: Run, services: FakeServices, added: str
) -> None:
    services.outcome = None

    result = run("keys", "enable", added)

    assert result.exit_code == 0
    assert result.stderr.endswith(f"{added} is active with version 1.\n")


def test_an_owner_sets_expiry_and_assurance(run: Run, services: FakeServices, added: str) -> None:
    result = run("keys", "set", added, "--expires", "2099-01-01T00:00:00Z", "--assurance", "high")
    expiring = services.keys[added].HasField("expire_time")
    run("keys", "set", added, "--never-expires")

    key = services.keys[added]
    assert result.stderr == f"Set {added}: expires 2099-01-01 00:00Z, assurance high.\n"
    assert (expiring, key.HasField("expire_time")) == (True, False)
    assert key.assurance == key_pb.KEY_ASSURANCE_HIGH


@pytest.mark.parametrize(
    "options", [(), ("--expires", "1d", "--never-expires"), ("--expires", "yesterday")]
)
def test_setting_nothing_or_nonsense_is_wrong_usage(
    run: Run, services: FakeServices, options: tuple[str, ...]
) -> None:
    result = run("keys", "set", "openai", *options)

    assert (result.exit_code, services.calls) == (2, [])


def test_a_key_is_shown_with_all_that_is_known(run: Run, services: FakeServices) -> None:
    run("keys", "add", "openai", stdin=b"sk-one")
    run("keys", "rotate", "openai", stdin=b"sk-two")
    services.outcome = None
    run("keys", "rotate", "openai", "--no-wait", stdin=b"sk-three")
    services.keys[NAME].rotate_due_time.FromDatetime(datetime(2026, 2, 1, tzinfo=UTC))

    result = run("keys", "show", "openai")

    fields = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert fields["verification"].split(",")[0].strip() == "verified"
    assert "version 3, pending" in fields["incoming"]
    assert "version 1, kept to undo the rotation, destroyed at" in fields["retiring"]
    assert fields["rotate by"].strip() == "2026-02-01 00:00Z"
    assert fields["assurance"].strip() == "standard"


def test_a_deletion_proves_itself_to_programs(run: Run, added: str) -> None:
    result = run("keys", "delete", added, "--yes", "--json")

    assert json.loads(result.stdout) == {
        "deleted": added,
        "proof": {
            "key": added,
            "destroyed_version_count": 3,
            "confirm_time": "2026-01-02T03:04:05Z",
        },
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyDuplicateError(), grpc.StatusCode.ALREADY_EXISTS),
        (KeyStateConflictError(), grpc.StatusCode.FAILED_PRECONDITION),
    ],
    ids=["duplicate", "state"],
)
def test_a_refused_change_is_not_waited_for(
    run: Run,
    services: FakeServices,
    error: KeyDuplicateError | KeyStateConflictError,
    status: grpc.StatusCode,
) -> None:
    services.failure = (error, status)

    result = run("keys", "rotate", "openai", stdin=b"sk-two")

    assert (result.exit_code, len(services.calls)) == (4, 1)
    assert error.reason in result.stderr
