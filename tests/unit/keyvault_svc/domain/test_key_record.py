from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import Verification, VerificationOutcome
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    ciphertext_of,
    make_grant,
    make_record,
    make_version,
)

LATER = START + timedelta(seconds=1)
EVER = KeyPolicy(rotate_after=None)
NINETY_DAYS = KeyPolicy(max_age=timedelta(days=90))
FULL = replace(
    make_record(make_grant(1)),
    incoming=make_version(3, KeyState.PENDING, fingerprint="c"),
    retiring=make_version(2, KeyState.RETIRING, fingerprint="b"),
    last_number=3,
)


@pytest.mark.parametrize(
    ("expire_time", "policy", "end"),
    [
        (None, EVER, None),
        (LATER, EVER, LATER),
        (None, NINETY_DAYS, START + timedelta(days=89)),
        (LATER, NINETY_DAYS, LATER),
        (START + timedelta(days=100), NINETY_DAYS, START + timedelta(days=89)),
    ],
    ids=["never", "owner", "age", "owner first", "age first"],
)
def test_a_key_ends_when_its_owner_or_the_policy_says_whichever_is_first(
    expire_time: datetime | None, policy: KeyPolicy, end: datetime | None
) -> None:
    record = replace(make_record(), expire_time=expire_time)

    assert record.ends_at(policy) == end
    if end is not None:
        assert record.at(end - timedelta(microseconds=1), policy).state is KeyState.ACTIVE
        assert record.at(end, policy).state is KeyState.EXPIRED


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (KeyState.PENDING, KeyState.EXPIRED),
        (KeyState.ACTIVE, KeyState.EXPIRED),
        (KeyState.DISABLED, KeyState.DISABLED),
        (KeyState.REJECTED, KeyState.REJECTED),
        (KeyState.EXPIRED, KeyState.EXPIRED),
        (KeyState.DELETED, KeyState.DELETED),
    ],
)
def test_when_its_time_is_up_a_key_serves_no_more(state: KeyState, after: KeyState) -> None:
    record = replace(make_record(state=state), expire_time=START)

    assert record.at(START, EVER).state is after


def test_the_age_of_a_key_is_that_of_its_current_version() -> None:
    rotated = replace(make_record(), current=replace(make_version(2), create_time=LATER))

    assert rotated.ends_at(NINETY_DAYS) == LATER + timedelta(days=90)
    assert rotated.rotate_due_time(KeyPolicy()) == LATER + timedelta(days=90)
    assert rotated.rotate_due_time(EVER) is None


def test_an_expired_key_that_is_renewed_is_verified_first() -> None:
    ended = replace(make_record(), expire_time=START).at(START, EVER)

    renewed = ended.expiring(LATER)

    assert (renewed.state, renewed.expire_time) == (KeyState.PENDING, LATER)
    assert renewed.awaits_verification


def test_a_serving_key_with_another_expiry_goes_on_serving() -> None:
    assert make_record().expiring(LATER) == replace(make_record(), expire_time=LATER)
    assert make_record().expiring(None) == make_record()


def test_switched_off_and_on_a_key_is_verified_anew() -> None:
    record = make_record()

    assert record.disabled().state is KeyState.DISABLED
    assert record.disabled().disabled() == record.disabled()
    assert record.disabled().enabled().state is KeyState.PENDING
    assert record.disabled().enabled().awaits_verification
    assert record.enabled() == record


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (KeyState.PENDING, KeyState.PENDING),
        (KeyState.ACTIVE, KeyState.PENDING),
        (KeyState.REJECTED, KeyState.PENDING),
        (KeyState.EXPIRED, KeyState.PENDING),
        (KeyState.DISABLED, KeyState.DISABLED),
    ],
)
def test_a_key_that_moves_is_verified_at_its_new_place_before_it_serves(
    state: KeyState, after: KeyState
) -> None:
    record = make_record(state=state)

    moved = record.moved("https://eu.example/v1")

    assert (moved.base_url, moved.state) == ("https://eu.example/v1", after)
    assert moved.current.verification is None
    assert moved.awaits_verification is (after is KeyState.PENDING)
    assert moved.moved("https://eu.example/v1") is moved


def test_a_rotation_that_is_undone_after_a_move_is_verified_first() -> None:
    tried = Verification(VerificationOutcome.VERIFIED, START)
    retiring = replace(make_version(1, KeyState.RETIRING), verification=tried)
    record = replace(make_record(), current=make_version(2), last_number=2, retiring=retiring)

    assert record.undone(START).state is KeyState.ACTIVE
    assert record.moved("https://eu.example/v1").undone(START).state is KeyState.PENDING


@pytest.mark.parametrize("state", [KeyState.REJECTED, KeyState.EXPIRED, KeyState.DELETED])
def test_the_switch_brings_no_key_back_that_something_else_keeps_from_serving(
    state: KeyState,
) -> None:
    with pytest.raises(KeyStateConflictError):
        make_record(state=state).enabled()


@pytest.mark.parametrize(
    "change",
    [
        KeyRecord.disabled,
        KeyRecord.enabled,
        lambda record: record.expiring(LATER),
        lambda record: record.handed_over(KeyAssurance.HIGH),
        lambda record: record.moved("https://eu.example/v1"),
        lambda record: record.with_grant(make_grant(), START),
        lambda record: record.undone(START),
    ],
    ids=["disabled", "enabled", "expiring", "handed over", "moved", "with grant", "undone"],
)
def test_a_deleted_key_is_changed_no_more(change: Callable[[KeyRecord], KeyRecord]) -> None:
    with pytest.raises(KeyStateConflictError):
        change(FULL.deleted(START))


def test_a_deleted_key_leaves_neither_plaintext_nor_grant() -> None:
    deleted = FULL.deleted(LATER)

    assert (deleted.state, deleted.current.destroy_time) == (KeyState.DELETED, LATER)
    assert deleted.ciphertexts == deleted.fingerprints == frozenset()
    assert deleted.grants == ()
    assert deleted.versions == (deleted.current,)
    assert deleted.to_verify is None
    assert not deleted.awaits_verification


def test_a_record_holds_what_its_versions_hold() -> None:
    assert FULL.fingerprints == {"hmac", "b", "c"}
    assert FULL.ciphertexts == {ciphertext_of(number) for number in (1, 2, 3)}


def test_a_record_shows_neither_ciphertext_nor_fingerprint() -> None:
    shown = repr(make_record(fingerprint="canaryprint"))

    assert "canary" not in shown
