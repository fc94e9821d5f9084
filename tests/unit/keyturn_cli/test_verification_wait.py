from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.verification_wait import AwaitedVerification, WaitResult, wait_for_verification
from tests.unit.keyturn_cli.key_messages import NOW, found, key_message, with_incoming

PENDING = key_pb.KEY_STATE_PENDING
DISABLED = key_pb.KEY_STATE_DISABLED
VERIFIED = key_pb.VERIFICATION_OUTCOME_VERIFIED
NO_QUOTA = key_pb.VERIFICATION_OUTCOME_NO_QUOTA
UNREACHABLE = key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE
LONG = 30.0  # seconds; a wait that gets there has failed


class Answers:
    """A key service that gives these answers, and the last one again and again."""

    def __init__(self, *answers: key_pb.Key | CommandError) -> None:
        self.looks = 0
        self._answers: Iterator[key_pb.Key | CommandError] = iter(answers)
        self._last = answers[-1]

    async def get_key(self, name: str) -> key_pb.Key:
        self.looks += 1
        answer = next(self._answers, self._last)
        if isinstance(answer, CommandError):
            raise answer
        assert answer.name == name
        return answer


async def _wait(key: key_pb.Key, reader: Answers, seconds: float = LONG) -> WaitResult:
    return await wait_for_verification(reader, key, AwaitedVerification.of(key), seconds, 0)


async def test_a_wait_ends_with_the_verification() -> None:
    pending, active = key_message(PENDING), key_message(outcome=VERIFIED)
    reader = Answers(pending, pending, active)

    result = await _wait(pending, reader)

    assert (result.key, result.is_over, reader.looks) == (active, True, 3)


async def test_the_verification_before_is_not_the_one() -> None:
    before = key_message(outcome=NO_QUOTA)
    after = key_message()
    found(after, NO_QUOTA, NOW)

    result = await _wait(before, Answers(before, after))

    assert result.key.verification.verify_time.ToDatetime() == NOW.replace(tzinfo=None)


async def test_time_ends_a_wait() -> None:
    pending = key_message(PENDING)

    result = await _wait(pending, Answers(pending), 0.02)

    assert result == WaitResult(pending, is_over=False)


@pytest.mark.parametrize(
    "meanwhile",
    [key_message(DISABLED), key_message(key_pb.KEY_STATE_EXPIRED), key_message(number=5)],
    ids=["switched off", "expired", "rotated"],
)
async def test_a_wait_ends_when_nothing_is_to_come(meanwhile: key_pb.Key) -> None:
    result = await _wait(key_message(PENDING), Answers(meanwhile))

    assert (result.key, result.is_over) == (meanwhile, True)


async def test_an_outage_on_the_way_is_outlasted() -> None:
    outage = CommandError("away", ExitCode.UNAVAILABLE)
    active = key_message(outcome=VERIFIED)

    result = await _wait(key_message(PENDING), Answers(outage, outage, active))

    assert result.is_over


async def test_an_outage_that_lasts_is_told() -> None:
    outage = CommandError("away", ExitCode.UNAVAILABLE)

    with pytest.raises(CommandError, match="away"):
        await _wait(key_message(PENDING), Answers(outage), 0.02)


async def test_a_refusal_ends_a_wait_at_once() -> None:
    gone = CommandError("gone", ExitCode.CONFLICT)
    reader = Answers(gone)

    with pytest.raises(CommandError, match="gone"):
        await _wait(key_message(PENDING), reader)

    assert reader.looks == 1


@pytest.mark.parametrize(
    ("key", "number"),
    [
        (key_message(), 1),
        (with_incoming(key_message()), 2),
        (with_incoming(key_message(), NO_QUOTA), 2),
        (with_incoming(key_message(), state=key_pb.KEY_STATE_REJECTED), 1),
        (with_incoming(key_message(PENDING), NO_QUOTA), 1),
        (with_incoming(key_message(PENDING), UNREACHABLE), 2),
    ],
    ids=["alone", "new", "failed", "destroyed", "behind one that waits", "tried again"],
)
def test_the_version_that_is_tried_next_is_awaited(key: key_pb.Key, number: int) -> None:
    assert AwaitedVerification.of(key).key_version == number


def test_only_a_version_that_waits_is_awaited_of_its_own() -> None:
    assert AwaitedVerification.of_current(with_incoming(key_message())) is None
    assert AwaitedVerification.of_current(key_message(PENDING, NO_QUOTA)) is None
    waiting = AwaitedVerification.of_current(with_incoming(key_message(PENDING)))
    assert waiting == AwaitedVerification(1, None)
