from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from keyvault_svc.domain.errors import (
    GrantExistsError,
    GrantNotFoundError,
    KeyStateConflictError,
    TooManyGrantsError,
)
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.grant_list import MAX_GRANTS, MAX_TERMS_CHARACTERS
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import (
    KeyAssurance,
    KeyRecord,
)
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import Verification, VerificationOutcome
from keyvault_svc.vault.record_format import to_stored
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import (
    BILLING,
    SEARCH,
    ciphertext_of,
    make_grant,
    make_record,
    make_terms,
    make_version,
)

LATER = START + timedelta(seconds=1)
EXPIRED = make_terms(BILLING, expire_time=START)


def _grants_of_many_apps(count: int) -> list[Grant]:
    return [
        make_grant(i, make_terms(SpiffeId.parse(f"spiffe://example.org/app/a{i}")))
        for i in range(count)
    ]


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


def test_a_grant_is_added_behind_the_others() -> None:
    first, second = make_grant(1), make_grant(2, make_terms(SEARCH))

    record = make_record(first).with_grant(second, START)

    assert record.grants == (first, second)


def test_an_app_holds_at_most_one_active_grant() -> None:
    record = make_record(make_grant(1))

    with pytest.raises(GrantExistsError):
        record.with_grant(make_grant(2), START)


@pytest.mark.parametrize(
    "ended", [make_grant(1, revoke_time=START), make_grant(1, EXPIRED)], ids=["revoked", "expired"]
)
def test_an_app_whose_grant_ended_gets_another(ended: Grant) -> None:
    record = make_record(ended).with_grant(make_grant(2), START)

    assert record.active_grants(START) == (make_grant(2),)


def test_the_201st_active_grant_is_refused() -> None:
    record = make_record(*_grants_of_many_apps(MAX_GRANTS))

    with pytest.raises(TooManyGrantsError):
        record.with_grant(make_grant(999), START)


def test_an_app_with_a_grant_on_a_full_key_is_told_of_its_grant() -> None:
    record = make_record(*_grants_of_many_apps(MAX_GRANTS))

    with pytest.raises(GrantExistsError):
        record.with_grant(record.grants[0], START)


def test_the_oldest_ended_grant_makes_room_for_a_new_one() -> None:
    grants = _grants_of_many_apps(MAX_GRANTS)
    grants[3], grants[7] = grants[3].revoked(START, "alice"), grants[7].revoked(START, "alice")

    record = make_record(*grants).with_grant(make_grant(999), START)

    assert len(record.grants) == MAX_GRANTS
    assert grants[3] not in record.grants
    assert grants[7] in record.grants
    assert record.grants[-1] == make_grant(999)


def test_ended_grants_stay_while_there_is_room() -> None:
    ended = make_grant(1, revoke_time=START)

    record = make_record(ended).with_grant(make_grant(2), START)

    assert record.grants[0] == ended


def test_revoking_touches_one_grant_only() -> None:
    other = make_grant(2, make_terms(SEARCH))

    record = make_record(make_grant(1), other).without_consent(make_grant(1).grant_id, LATER, "bob")

    assert record.grant(make_grant(1).grant_id).revoke_time == LATER
    assert record.grant(make_grant(1).grant_id).revoker == "bob"
    assert record.grant(other.grant_id) == other


def test_revoking_twice_changes_nothing() -> None:
    once = make_record(make_grant(1)).without_consent(make_grant(1).grant_id, START, "bob")

    assert once.without_consent(make_grant(1).grant_id, LATER, "carol") == once


@pytest.mark.parametrize("record", [make_record(), make_record(make_grant(1))])
def test_a_grant_that_is_not_there_cannot_be_revoked(record: KeyRecord) -> None:
    with pytest.raises(GrantNotFoundError):
        record.without_consent("f" * 16, START, "bob")


def test_the_terms_of_all_active_grants_together_are_bounded() -> None:
    large = make_terms(models=tuple(f"ft:gpt-4o:org::{number:0120}" for number in range(100)))
    fitting = MAX_TERMS_CHARACTERS // large.size
    first, *others = (
        make_grant(i, replace(large, app=SpiffeId.parse(f"spiffe://example.org/app/{i:07}")))
        for i in range(fitting)
    )
    record = make_record(first)
    for grant in others:
        record = record.with_grant(grant, START)

    with pytest.raises(TooManyGrantsError):
        record.with_grant(make_grant(fitting, replace(large, app=SEARCH)), START)


def test_a_record_at_its_bounds_fits_into_vault_with_every_grant_revoked() -> None:
    record = make_record()
    grants = _grants_of_many_apps(MAX_GRANTS)
    widest = MAX_TERMS_CHARACTERS // MAX_GRANTS
    for grant in grants:
        models = ("m" * (widest - grant.terms.size),)
        wide = replace(grant, terms=replace(grant.terms, models=models), creator="ä" * 256)
        record = record.with_grant(wide, START)
    for grant in grants:
        record = record.without_consent(grant.grant_id, LATER, "ä" * 256)

    assert len(record.grants) == MAX_GRANTS
    assert len(to_stored(record)) < 1024 * 1024
