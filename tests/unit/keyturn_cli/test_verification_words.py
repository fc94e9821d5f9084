from __future__ import annotations

import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.verification_wait import AwaitedVerification, WaitResult
from keyturn_cli.verification_words import Ending, ending_of, standing_of
from tests.unit.keyturn_cli.key_messages import NAME, NOW, key_message, with_incoming

PENDING = key_pb.KEY_STATE_PENDING
REJECTED = key_pb.KEY_STATE_REJECTED
DISABLED = key_pb.KEY_STATE_DISABLED
EXPIRED = key_pb.KEY_STATE_EXPIRED
VERIFIED = key_pb.VERIFICATION_OUTCOME_VERIFIED
WRONG_KEY = key_pb.VERIFICATION_OUTCOME_WRONG_KEY
NO_QUOTA = key_pb.VERIFICATION_OUTCOME_NO_QUOTA
OUTCOMES = set(key_pb.VerificationOutcome.values()) - {0}


def _ending(key: key_pb.Key, number: int = 1, *, is_over: bool = True) -> Ending:
    return ending_of(WaitResult(key, is_over), AwaitedVerification(number, None), 60.0)


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_every_outcome_ends_with_words_and_its_own_code(
    outcome: key_pb.VerificationOutcome.ValueType,
) -> None:
    state = key_pb.KEY_STATE_ACTIVE if outcome == VERIFIED else PENDING

    ending = _ending(key_message(state, outcome))

    codes = {
        VERIFIED: ExitCode.OK,
        key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE: ExitCode.UNAVAILABLE,
    }
    assert ending.exit_code is codes.get(outcome, ExitCode.UPSTREAM_REFUSED)
    assert (outcome == VERIFIED) or NAME in ending.hint


def test_an_outcome_of_a_newer_service_is_no_success() -> None:
    key = key_message(PENDING, NO_QUOTA)
    key.verification.outcome = 99  # type: ignore[assignment]  # proto3 enums are open

    assert _ending(key).exit_code is ExitCode.FAULT


def test_a_wrong_key_is_to_be_replaced() -> None:
    ending = _ending(key_message(REJECTED, WRONG_KEY))

    assert ending.text.startswith("OpenAI does not know this key")
    assert ending.text.endswith(f"{NAME} is rejected: it does not serve.")
    assert f"keyturn keys rotate {NAME}" in ending.hint


@pytest.mark.parametrize(
    ("key", "consequence"),
    [
        (key_message(), "The old key, version 1, goes on serving."),
        (key_message(EXPIRED), "The old key, version 1, is expired as before."),
    ],
    ids=["active", "expired"],
)
def test_a_failed_rotation_says_what_becomes_of_the_old_key(
    key: key_pb.Key, consequence: str
) -> None:
    ending = _ending(with_incoming(key, WRONG_KEY, REJECTED), 2)

    assert ending.text.endswith(consequence)
    assert ending.exit_code is ExitCode.UPSTREAM_REFUSED


def test_a_rotation_says_until_when_it_can_be_undone() -> None:
    key = key_message(outcome=VERIFIED, number=2)
    key.retiring.key_version = 1
    key.retiring.destroy_time.FromDatetime(NOW)

    ending = _ending(key, 2)

    assert ending.text == f"Verified: {NAME} is active with version 2."
    assert ending.hint.startswith("Version 1 is kept until 2026-11-20 12:00Z: ")


@pytest.mark.parametrize(
    ("key", "number", "code", "told"),
    [
        (key_message(DISABLED, VERIFIED), 1, ExitCode.OK, "stays switched off"),
        (key_message(EXPIRED, VERIFIED), 1, ExitCode.CONFLICT, "is expired all the same"),
        (key_message(DISABLED), 1, ExitCode.CONFLICT, "is not tried at OpenAI"),
        (key_message(number=5), 1, ExitCode.OK, "active with version 5"),
        (key_message(PENDING, number=5), 1, ExitCode.CONFLICT, "changed meanwhile"),
    ],
    ids=["off, accepted", "expired, accepted", "switched off", "rotated", "rotated, waiting"],
)
def test_what_happened_meanwhile_is_told(
    key: key_pb.Key, number: int, code: ExitCode, told: str
) -> None:
    ending = _ending(key, number)

    assert (ending.exit_code, told in ending.text) == (code, True)


def test_time_that_is_up_is_no_refusal() -> None:
    ending = _ending(with_incoming(key_message()), 2, is_over=False)

    assert ending.exit_code is ExitCode.UNAVAILABLE
    assert ending.text.endswith("within 60 s. The old key, version 1, goes on serving.")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (key_message(), ExitCode.OK),
        (key_message(PENDING, NO_QUOTA), ExitCode.UPSTREAM_REFUSED),
        (key_message(EXPIRED, VERIFIED), ExitCode.CONFLICT),
    ],
    ids=["active", "no quota", "expired"],
)
def test_a_key_that_nobody_has_to_wait_for_is_told_as_it_is(
    key: key_pb.Key, code: ExitCode
) -> None:
    assert standing_of(key).exit_code is code
