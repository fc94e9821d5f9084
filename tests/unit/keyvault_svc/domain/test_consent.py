from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    GrantExistsError,
    GrantNotFoundError,
    KeyStateConflictError,
)
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.person import Person
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, TEAM_KEY, Stage
from tests.unit.keyvault_svc.samples import (
    BILLING,
    KEY,
    SEARCH,
    make_grant,
    make_record,
    make_terms,
)


def _put(stage: Stage, record: KeyRecord) -> None:
    stage.store.put(record)


async def test_a_consent_is_recorded_with_its_giver_and_time() -> None:
    stage = Stage(make_record())

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(), REQUEST)

    assert (grant.creator, grant.create_time, grant.terms) == ("alice", START, make_terms())
    assert stage.stored().grants == (grant,)
    assert await stage.consent.list_grants(ALICE, KEY, REQUEST) == (grant,)


async def test_every_grant_has_a_name_of_its_own() -> None:
    stage = Stage(make_record())

    first = await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), REQUEST)
    second = await stage.consent.create_grant(ALICE, KEY, make_terms(SEARCH), REQUEST)

    assert first.grant_id != second.grant_id
    assert GrantName.parse(str(GrantName(KEY, first.grant_id)), "name").grant_id == first.grant_id


@pytest.mark.parametrize("offset", [-1, 0])
async def test_a_consent_that_ends_at_once_is_refused(offset: int) -> None:
    stage = Stage(make_record())
    terms = make_terms(expire_time=START + timedelta(seconds=offset))

    with pytest.raises(InvalidFieldError) as caught:
        await stage.consent.create_grant(ALICE, KEY, terms, REQUEST)

    assert caught.value.field == "grant.expire_time"


async def test_two_consents_at_once_are_both_kept() -> None:
    stage = Stage(make_record())
    other = make_grant(9, make_terms(SEARCH))
    stage.line.before("write record", lambda: _put(stage, make_record(other)))

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), REQUEST)

    assert stage.stored().grants == (other, grant)


async def test_of_two_consents_to_one_app_at_once_one_is_refused() -> None:
    stage = Stage(make_record())
    stage.line.before("write record", lambda: _put(stage, make_record(make_grant(9))))

    with pytest.raises(GrantExistsError):
        await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), REQUEST)


async def test_a_revoked_consent_says_who_withdrew_it() -> None:
    stage = Stage(make_record(make_grant(1), name=TEAM_KEY))
    member = Person("bob", frozenset({"payments"}))

    grant = await stage.consent.revoke_grant(
        member, GrantName(TEAM_KEY, make_grant(1).grant_id), REQUEST
    )

    assert (grant.revoke_time, grant.revoker) == (START, "bob")
    assert stage.stored(TEAM_KEY).grants == (grant,)


async def test_revoking_twice_keeps_the_first_time_and_writes_once() -> None:
    stage = Stage(make_record(make_grant(1)))
    name = GrantName(KEY, make_grant(1).grant_id)
    first = await stage.consent.revoke_grant(ALICE, name, REQUEST)
    stage.clock.advance(60)

    assert await stage.consent.revoke_grant(ALICE, name, REQUEST) == first
    assert len(stage.store.writes) == 1


async def test_a_consent_that_is_not_there_cannot_be_withdrawn() -> None:
    stage = Stage(make_record(make_grant(1)))

    with pytest.raises(GrantNotFoundError):
        await stage.consent.revoke_grant(ALICE, GrantName(KEY, "f" * 16), REQUEST)


@pytest.mark.parametrize("state", sorted(set(KeyState) - {KeyState.DELETED}))
async def test_consents_are_given_and_withdrawn_whatever_keeps_the_key_from_serving(
    state: KeyState,
) -> None:
    stage = Stage(make_record(make_grant(1), state=state))

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(SEARCH), REQUEST)
    await stage.consent.revoke_grant(ALICE, GrantName(KEY, make_grant(1).grant_id), REQUEST)

    assert stage.stored().active_grants(START) == (grant,)
    assert stage.stored().state is state


async def test_nobody_consents_to_the_use_of_a_deleted_key() -> None:
    stage = Stage(make_record(state=KeyState.DELETED))

    with pytest.raises(KeyStateConflictError):
        await stage.consent.create_grant(ALICE, KEY, make_terms(), REQUEST)
