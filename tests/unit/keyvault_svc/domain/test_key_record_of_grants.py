from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import GrantExistsError, GrantNotFoundError, TooManyGrantsError
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.grant_list import MAX_GRANTS, MAX_TERMS_CHARACTERS
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.vault.record_format import to_stored
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import BILLING, SEARCH, make_grant, make_record, make_terms

LATER = START + timedelta(seconds=1)
EXPIRED = make_terms(BILLING, expire_time=START)


def _grants_of_many_apps(count: int) -> list[Grant]:
    return [
        make_grant(i, make_terms(SpiffeId.parse(f"spiffe://example.org/app/a{i}")))
        for i in range(count)
    ]


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
