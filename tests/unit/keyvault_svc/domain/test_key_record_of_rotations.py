from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import SealedKey, Verification, VerificationOutcome
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_version

DAY = timedelta(days=1)
LATER = START + timedelta(seconds=60)
NEW = SealedKey("vault:v1:new", "new")
NEWER = SealedKey("vault:v1:newer", "newer")
VERIFIED = Verification(VerificationOutcome.VERIFIED, LATER)
WRONG_KEY = Verification(VerificationOutcome.WRONG_KEY, LATER)
NO_QUOTA = Verification(VerificationOutcome.NO_QUOTA, LATER)
ROTATED_BESIDE = [KeyState.ACTIVE, KeyState.DISABLED, KeyState.REJECTED, KeyState.EXPIRED]


def _rotated(record: KeyRecord, overlap: timedelta = DAY) -> KeyRecord:
    return record.rotating(NEW, START, overlap).tried(2, VERIFIED, LATER)


def test_a_key_that_has_just_gone_in_waits() -> None:
    record = KeyRecord.new(KEY, NEW, "alice", START)

    assert (record.state, record.current.number, record.revision) == (KeyState.PENDING, 1, 0)
    assert record.to_verify == record.current


def test_what_waits_is_kept_until_its_successor_is_verified() -> None:
    record = KeyRecord.new(KEY, NEW, "alice", START).rotating(NEWER, LATER, DAY)

    tried = record.tried(2, Verification(VerificationOutcome.VERIFIED, LATER), LATER)

    assert (record.current.number, record.current.sealed) == (1, NEW)
    assert (tried.current.number, tried.current.sealed) == (2, NEWER)
    assert (tried.state, tried.incoming, tried.retiring) == (KeyState.ACTIVE, None, None)


def test_an_undo_of_a_version_that_is_undone_already_changes_nothing() -> None:
    record = make_record().rotating(NEW, START, DAY)

    undone = record.undone(START, 2)

    assert undone.undone(START, 2) == undone
    with pytest.raises(KeyStateConflictError):
        undone.undone(START, 3)


@pytest.mark.parametrize("state", ROTATED_BESIDE)
def test_until_it_is_verified_a_new_plaintext_waits_beside_the_current_one(
    state: KeyState,
) -> None:
    record = make_record(make_grant(), state=state)

    rotating = record.rotating(NEW, START, DAY)

    assert rotating.current == record.current
    assert rotating.grants == record.grants
    assert rotating.incoming is not None
    assert (rotating.incoming.number, rotating.incoming.state) == (2, KeyState.PENDING)
    assert rotating.to_verify == rotating.incoming


def test_a_further_rotation_takes_the_place_of_the_one_that_waits() -> None:
    record = make_record().rotating(NEW, START, DAY).rotating(NEWER, START, DAY)

    assert record.incoming is not None
    assert (record.incoming.number, record.incoming.sealed) == (3, NEWER)
    assert NEW.ciphertext not in record.ciphertexts


def test_a_deleted_key_cannot_be_rotated() -> None:
    with pytest.raises(KeyStateConflictError):
        make_record(state=KeyState.DELETED).rotating(NEW, START, DAY)


def test_a_verified_version_serves_and_the_one_before_is_kept_for_the_overlap() -> None:
    record = make_record(make_grant())

    rotated = _rotated(record)

    assert (rotated.state, rotated.current.number) == (KeyState.ACTIVE, 2)
    assert rotated.current.verification == VERIFIED
    assert rotated.incoming is None
    assert rotated.retiring == replace(
        record.current, state=KeyState.RETIRING, destroy_time=LATER + DAY
    )
    assert rotated.grants == record.grants


def test_without_an_overlap_nothing_is_kept() -> None:
    rotated = _rotated(make_record(), timedelta())

    assert rotated.retiring is None
    assert rotated.ciphertexts == {NEW.ciphertext}


def test_one_step_back_is_kept_and_not_two() -> None:
    twice = _rotated(make_record()).rotating(NEWER, LATER, DAY).tried(3, VERIFIED, LATER)

    assert [version.number for version in twice.versions] == [3, 2]


@pytest.mark.parametrize("state", [KeyState.REJECTED, KeyState.EXPIRED, KeyState.PENDING])
def test_a_version_that_may_not_serve_is_not_kept(state: KeyState) -> None:
    current = make_version(state=state)
    incoming = replace(make_version(2, KeyState.PENDING), overlap=DAY)
    record = replace(make_record(), current=current, incoming=incoming, last_number=2)

    assert record.tried(2, VERIFIED, LATER).retiring is None


def test_a_failed_rotation_leaves_the_old_one_serving_and_nothing_of_the_wrong_one() -> None:
    record = make_record()

    failed = record.rotating(NEW, START, DAY).tried(2, WRONG_KEY, LATER)

    assert failed.current == record.current
    assert failed.ciphertexts == record.ciphertexts
    assert failed.incoming is not None
    assert (failed.incoming.state, failed.incoming.verification) == (KeyState.REJECTED, WRONG_KEY)
    assert failed.to_verify == failed.current


def test_a_new_plaintext_without_quota_goes_on_waiting() -> None:
    waiting = make_record().rotating(NEW, START, DAY).tried(2, NO_QUOTA, LATER)

    assert waiting.state is KeyState.ACTIVE
    assert waiting.incoming is not None
    assert waiting.incoming.state is KeyState.PENDING
    assert not waiting.awaits_verification


def test_the_version_that_waits_is_tried_before_one_that_was_tried() -> None:
    record = make_record().rotating(NEW, START, DAY).tried(2, NO_QUOTA, LATER)
    on_again = record.disabled().enabled()

    assert on_again.awaits_verification
    assert on_again.to_verify == on_again.current


@pytest.mark.parametrize("number", [0, 3])
def test_a_verification_of_what_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(KeyStateConflictError):
        make_record().rotating(NEW, START, DAY).tried(number, VERIFIED, LATER)


def test_openai_takes_a_serving_key_out_of_service() -> None:
    assert make_record().tried(1, WRONG_KEY, LATER).state is KeyState.REJECTED


def test_a_rejected_key_that_openai_accepts_serves_again() -> None:
    assert make_record(state=KeyState.REJECTED).tried(1, VERIFIED, LATER).state is KeyState.ACTIVE


@pytest.mark.parametrize("verification", [VERIFIED, WRONG_KEY, NO_QUOTA])
def test_what_is_switched_off_stays_off_whatever_openai_says(verification: Verification) -> None:
    tried = make_record(state=KeyState.DISABLED).tried(1, verification, LATER)

    assert (tried.state, tried.current.verification) == (KeyState.DISABLED, verification)


def test_the_switch_is_the_keys_and_outlasts_a_rotation() -> None:
    rotated = _rotated(make_record().disabled())

    assert (rotated.state, rotated.current.number) == (KeyState.DISABLED, 2)
    assert rotated.enabled().state is KeyState.PENDING


def test_a_key_that_ended_lives_on_with_a_new_plaintext() -> None:
    ended = replace(make_record(), expire_time=START).at(LATER, KeyPolicy())
    assert ended.state is KeyState.EXPIRED

    rotated = _rotated(ended)

    assert (rotated.state, rotated.expire_time) == (KeyState.ACTIVE, None)
    assert rotated.retiring is None


def test_an_expiry_that_lies_ahead_outlasts_a_rotation() -> None:
    record = replace(make_record(), expire_time=LATER + DAY)

    assert _rotated(record).expire_time == LATER + DAY


def test_a_rotation_under_way_is_undone_by_forgetting_it() -> None:
    record = make_record()

    undone = record.rotating(NEW, START, DAY).undone(LATER)

    assert undone == replace(record, last_number=2)


def test_a_finished_rotation_is_undone_within_its_overlap() -> None:
    record = make_record().tried(1, VERIFIED, START)

    undone = _rotated(record).undone(LATER + DAY - timedelta(microseconds=1))

    assert undone == replace(record, last_number=2)


def test_a_finished_rotation_cannot_be_undone_after_its_overlap() -> None:
    with pytest.raises(KeyStateConflictError):
        _rotated(make_record()).undone(LATER + DAY)


@pytest.mark.parametrize("state", [s for s in KeyState if s is not KeyState.RETIRING])
def test_without_a_rotation_there_is_nothing_to_undo(state: KeyState) -> None:
    with pytest.raises(KeyStateConflictError):
        make_record(state=state).undone(START)


def test_a_rotation_cannot_be_undone_twice() -> None:
    with pytest.raises(KeyStateConflictError):
        _rotated(make_record()).undone(LATER).undone(LATER)


def test_a_key_that_is_off_stays_off_when_its_rotation_is_undone() -> None:
    undone = _rotated(make_record()).disabled().undone(LATER)

    assert (undone.state, undone.current.number) == (KeyState.DISABLED, 1)


@pytest.mark.parametrize("verification", [WRONG_KEY, NO_QUOTA, VERIFIED, None])
def test_what_was_off_when_it_was_replaced_serves_again_only_after_a_verification(
    verification: Verification | None,
) -> None:
    off = replace(make_version(state=KeyState.DISABLED), verification=verification)
    rotated = _rotated(replace(make_record(), current=off))
    serving = rotated.enabled().tried(2, VERIFIED, LATER)
    assert serving.state is KeyState.ACTIVE

    undone = serving.undone(LATER)

    assert (undone.state, undone.current.number) == (KeyState.PENDING, 1)
    assert undone.to_verify == undone.current
    assert undone.awaits_verification


def test_numbers_are_not_used_twice() -> None:
    record = make_record().tried(1, VERIFIED, START).rotating(NEW, START, DAY).undone(START)
    record = record.rotating(NEWER, START, DAY).tried(3, VERIFIED, START).undone(START)
    record = record.rotating(NEW, START, DAY)

    assert record.incoming is not None
    assert record.incoming.number == record.last_number == 4


def test_what_is_kept_goes_when_its_time_has_come() -> None:
    rotated = _rotated(make_record())

    assert rotated.without_retired(LATER + DAY - timedelta(microseconds=1)) == rotated
    assert rotated.without_retired(LATER + DAY) == replace(rotated, retiring=None)
    assert make_record().without_retired(LATER) == make_record()
