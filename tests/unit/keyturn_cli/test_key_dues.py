from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.key_dues import age_of, dues_of, length, summary
from tests.unit.keyturn_cli.key_messages import NOW, key_message, with_incoming

DAY = timedelta(days=1)
NO_QUOTA = key_pb.VERIFICATION_OUTCOME_NO_QUOTA
NO_PERMISSION = key_pb.VERIFICATION_OUTCOME_NO_PERMISSION
UNREACHABLE = key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE
WRONG_KEY = key_pb.VERIFICATION_OUTCOME_WRONG_KEY
PENDING = key_pb.KEY_STATE_PENDING
REJECTED = key_pb.KEY_STATE_REJECTED
EXPIRED = key_pb.KEY_STATE_EXPIRED


DUES = {
    "nothing": (key_message(), []),
    "rotation ahead": (key_message(due_in=5 * DAY), ["rotate by 2026-11-25 (in 5 d)"]),
    "rotation overdue": (key_message(due_in=-3 * DAY), ["rotation overdue by 3 d"]),
    "expiry ahead": (key_message(expires_in=2 * DAY), ["expires in 2 d"]),
    "expiry over": (key_message(expires_in=-DAY), ["expired"]),
    "expired": (key_message(EXPIRED, expires_in=-DAY, due_in=-DAY), ["expired"]),
    "rejected": (key_message(REJECTED, WRONG_KEY, due_in=DAY), ["rejected: rotate"]),
    "new": (key_message(PENDING), ["waits: is being verified"]),
    "no quota": (key_message(PENDING, NO_QUOTA), ["waits: no quota"]),
    "no permission": (key_message(PENDING, NO_PERMISSION), ["waits: no permission"]),
    "OpenAI away": (
        key_message(PENDING, UNREACHABLE),
        ["waits: OpenAI unreachable, is tried again"],
    ),
    "active without quota": (key_message(outcome=NO_QUOTA), ["no quota"]),
    "active, OpenAI away": (key_message(outcome=UNREACHABLE), []),
    "switched off": (key_message(key_pb.KEY_STATE_DISABLED, due_in=-DAY), []),
    "half deleted": (
        key_message(key_pb.KEY_STATE_DELETED),
        ["its deletion broke off: delete it again"],
    ),
    "rotating": (
        with_incoming(key_message(due_in=-DAY)),
        ["incoming waits: is being verified"],
    ),
    "rotating without quota": (
        with_incoming(key_message(), NO_QUOTA),
        ["incoming waits: no quota"],
    ),
    "rotation failed": (
        with_incoming(key_message(expires_in=2 * DAY), WRONG_KEY, REJECTED),
        ["incoming rejected: rotate again", "expires in 2 d"],
    ),
}
URGENT = {
    "rotation within a week": key_message(due_in=7 * DAY),
    "expiry within a week": key_message(expires_in=7 * DAY),
    "waits without quota": key_message(PENDING, NO_QUOTA),
    "refused": key_message(REJECTED),
}
NOT_URGENT = {
    "rotation later": key_message(due_in=8 * DAY),
    "expiry later": key_message(expires_in=8 * DAY),
    "new": key_message(PENDING),
    "OpenAI away": key_message(PENDING, UNREACHABLE),
}


@pytest.mark.parametrize("case", DUES)
def test_what_is_due_is_told_with_its_date(case: str) -> None:
    key, due = DUES[case]

    assert [told.text for told in dues_of(key, NOW)] == due


def test_what_an_owner_must_do_within_a_week_is_urgent() -> None:
    keys = URGENT | NOT_URGENT

    urgent = {case for case, key in keys.items() if any(d.is_urgent for d in dues_of(key, NOW))}
    assert {len(dues_of(key, NOW)) for key in keys.values()} == {1}
    assert urgent == set(URGENT)


def test_a_summary_names_the_urgent_keys() -> None:
    late = key_message(due_in=-3 * DAY)
    other = key_message(REJECTED)
    other.name = "users/alice/keys/batch"

    told = summary([late, key_message(due_in=30 * DAY), other], NOW)

    assert told == "Due: openai (rotation overdue by 3 d); batch (rejected: rotate)."
    assert summary([key_message()], NOW) == "Nothing is due."


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(seconds=5), "0 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=47), "47 h"),
        (5 * DAY - timedelta(seconds=1), "5 d"),
        (400 * DAY, "400 d"),
    ],
    ids=["seconds", "minutes", "two hours", "hours", "nearly five days", "days"],
)
def test_a_length_of_time_is_told_in_its_unit(time: timedelta, words: str) -> None:
    assert length(time) == words


def test_the_age_is_that_of_the_plaintext_and_never_negative() -> None:
    assert age_of(key_message(), NOW) == "3 d"
    assert age_of(key_message(), NOW - 10 * DAY) == "0 min"
    assert age_of(key_pb.Key(), NOW) == ""
