from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.consent_rules import ConsentRules
from keyvault_svc.domain.errors import (
    ConsentTextOutdatedError,
    GrantEndedError,
    GrantExistsError,
    GrantNotFoundError,
    KeyStateConflictError,
    StepUpRequiredError,
)
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.domain.step_up import StepUpPolicy
from svc_runtime.caller import Authentication
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, TEAM_KEY, TEXT, Stage
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

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(), TEXT.version, REQUEST)

    assert (grant.creator, grant.create_time, grant.terms) == ("alice", START, make_terms())
    assert stage.stored().grants == (grant,)
    assert await stage.consent.list_grants(ALICE, KEY, REQUEST) == (grant,)


async def test_every_grant_has_a_name_of_its_own() -> None:
    stage = Stage(make_record())

    first = await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), TEXT.version, REQUEST)
    second = await stage.consent.create_grant(ALICE, KEY, make_terms(SEARCH), TEXT.version, REQUEST)

    assert first.grant_id != second.grant_id
    assert GrantName.parse(str(GrantName(KEY, first.grant_id)), "name").grant_id == first.grant_id


@pytest.mark.parametrize("offset", [-1, 0])
async def test_a_consent_that_ends_at_once_is_refused(offset: int) -> None:
    stage = Stage(make_record())
    terms = make_terms(expire_time=START + timedelta(seconds=offset))

    with pytest.raises(InvalidFieldError) as caught:
        await stage.consent.create_grant(ALICE, KEY, terms, TEXT.version, REQUEST)

    assert caught.value.field == "grant.expire_time"


async def test_two_consents_at_once_are_both_kept() -> None:
    stage = Stage(make_record())
    other = make_grant(9, make_terms(SEARCH))
    stage.line.before("write record", lambda: _put(stage, make_record(other)))

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), TEXT.version, REQUEST)

    assert stage.stored().grants == (other, grant)


async def test_of_two_consents_to_one_app_at_once_one_is_refused() -> None:
    stage = Stage(make_record())
    stage.line.before("write record", lambda: _put(stage, make_record(make_grant(9))))

    with pytest.raises(GrantExistsError):
        await stage.consent.create_grant(ALICE, KEY, make_terms(BILLING), TEXT.version, REQUEST)


async def test_a_revoked_consent_says_who_withdrew_it() -> None:
    stage = Stage(make_record(make_grant(1), name=TEAM_KEY))
    admin = Person("bob", frozenset({"payments-admins"}))

    grant = await stage.consent.revoke_grant(
        admin, GrantName(TEAM_KEY, make_grant(1).grant_id), REQUEST
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

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(SEARCH), TEXT.version, REQUEST)
    await stage.consent.revoke_grant(ALICE, GrantName(KEY, make_grant(1).grant_id), REQUEST)

    assert stage.stored().active_grants(START) == (grant,)
    assert stage.stored().state is state


async def test_nobody_consents_to_the_use_of_a_deleted_key() -> None:
    stage = Stage(make_record(state=KeyState.DELETED))

    with pytest.raises(KeyStateConflictError):
        await stage.consent.create_grant(ALICE, KEY, make_terms(), TEXT.version, REQUEST)


NAME = GrantName(KEY, make_grant(1).grant_id)
NARROW = make_terms(models=("gpt-4o",))


def _to(terms: GrantTerms) -> Callable[[GrantTerms], GrantTerms]:
    return lambda _: terms


async def test_a_consent_records_the_text_that_was_agreed_to() -> None:
    stage = Stage(make_record())

    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(), TEXT.version, REQUEST)

    assert grant.consent_text_version == TEXT.version


@pytest.mark.parametrize("version", ["", "2026-01"])
async def test_nobody_consents_to_another_text_than_the_one_in_force(version: str) -> None:
    stage = Stage(make_record())

    with pytest.raises(ConsentTextOutdatedError) as caught:
        await stage.consent.create_grant(ALICE, KEY, make_terms(), version, REQUEST)

    assert caught.value.details == {"consent_text_version": TEXT.version}
    assert stage.stored().grants == ()


async def test_a_grant_is_narrowed_without_reading_the_text_again() -> None:
    stage = Stage(make_record(make_grant(1)))

    grant = await stage.consent.update_grant(ALICE, NAME, _to(NARROW), "", REQUEST)

    assert (grant.terms, grant.update_time, grant.updater) == (NARROW, START, "alice")
    assert grant.consent_text_version == make_grant(1).consent_text_version
    assert stage.stored().grants == (grant,)


async def test_a_grant_is_widened_only_by_who_agrees_to_the_text_in_force() -> None:
    stage = Stage(make_record(make_grant(1, NARROW)))

    with pytest.raises(ConsentTextOutdatedError):
        await stage.consent.update_grant(ALICE, NAME, _to(make_terms()), "", REQUEST)
    assert stage.stored().grants == (make_grant(1, NARROW),)

    grant = await stage.consent.update_grant(ALICE, NAME, _to(make_terms()), TEXT.version, REQUEST)

    assert (grant.terms, grant.consent_text_version) == (make_terms(), TEXT.version)


async def test_a_change_is_judged_by_the_terms_that_it_meets() -> None:
    stage = Stage(make_record(make_grant(1)))
    stage.line.before("write record", lambda: _put(stage, make_record(make_grant(1, NARROW))))
    end = START + timedelta(days=1)

    grant = await stage.consent.update_grant(
        ALICE, NAME, lambda terms: replace(terms, expire_time=end), "", REQUEST
    )

    assert grant.terms == replace(NARROW, expire_time=end)


async def test_a_change_to_the_same_terms_writes_nothing() -> None:
    stage = Stage(make_record(make_grant(1)))

    grant = await stage.consent.update_grant(ALICE, NAME, _to(make_terms()), "", REQUEST)

    assert grant == make_grant(1)
    assert stage.store.writes == []
    assert stage.notifier.events == []


@pytest.mark.parametrize(
    "ended",
    [
        make_grant(1, revoke_time=START),
        make_grant(1, make_terms(expire_time=START)),
    ],
    ids=["revoked", "expired"],
)
async def test_an_ended_grant_cannot_be_changed(ended: Grant) -> None:
    stage = Stage(make_record(ended))

    with pytest.raises(GrantEndedError):
        await stage.consent.update_grant(ALICE, NAME, _to(NARROW), TEXT.version, REQUEST)


async def test_a_grant_is_ended_by_revoking_it_and_not_by_an_end_that_is_past() -> None:
    stage = Stage(make_record(make_grant(1)))

    with pytest.raises(InvalidFieldError) as caught:
        await stage.consent.update_grant(
            ALICE, NAME, _to(make_terms(expire_time=START)), "", REQUEST
        )

    assert caught.value.field == "grant.expire_time"


async def test_what_grants_more_than_before_needs_a_fresh_login_where_one_is_asked_for() -> None:
    stage = Stage(make_record(make_grant(1, NARROW)))
    strict = RoleRules(step_up=StepUpPolicy(timedelta(minutes=5)))
    stale = replace(ALICE, rules=strict, call_time=START)
    fresh = replace(stale, authentication=Authentication(auth_time=START))

    with pytest.raises(StepUpRequiredError):
        await stage.consent.update_grant(stale, NAME, _to(make_terms()), TEXT.version, REQUEST)
    with pytest.raises(StepUpRequiredError):
        await stage.consent.create_grant(stale, KEY, make_terms(SEARCH), TEXT.version, REQUEST)

    await stage.consent.update_grant(fresh, NAME, _to(make_terms()), TEXT.version, REQUEST)
    await stage.consent.update_grant(stale, NAME, _to(NARROW), "", REQUEST)


async def test_nothing_is_granted_beyond_a_ceiling_and_narrowing_is_never_refused() -> None:
    rules = ConsentRules(TEXT, Ceilings(models=("gpt-4o*",)))
    stage = Stage(make_record(make_grant(1)), rules=rules)  # from before the ceiling

    with pytest.raises(InvalidFieldError) as caught:
        await stage.consent.create_grant(ALICE, KEY, make_terms(SEARCH), TEXT.version, REQUEST)
    assert caught.value.field == "grant.models"

    still_beyond = make_terms(endpoints=("chat",))
    await stage.consent.update_grant(ALICE, NAME, _to(still_beyond), "", REQUEST)
    with pytest.raises(InvalidFieldError):
        await stage.consent.update_grant(ALICE, NAME, _to(make_terms()), TEXT.version, REQUEST)


async def test_an_owner_sees_the_grants_on_all_their_keys_the_oldest_first() -> None:
    other = KeyName(KEY.owner, "another")
    newer = replace(make_grant(2, make_terms(SEARCH)), create_time=START)
    stage = Stage(make_record(newer, name=other), make_record(make_grant(1)))

    grants = await stage.consent.list_grants_of(ALICE, KEY.owner, REQUEST)

    assert grants == [(KEY, make_grant(1)), (other, newer)]


async def test_owners_are_told_of_every_change_of_consent_once() -> None:
    stage = Stage(make_record())
    grant = await stage.consent.create_grant(ALICE, KEY, make_terms(), TEXT.version, REQUEST)
    name = GrantName(KEY, grant.grant_id)
    await stage.consent.update_grant(ALICE, name, _to(NARROW), "", REQUEST)
    await stage.consent.update_grant(ALICE, name, _to(make_terms()), TEXT.version, REQUEST)
    await stage.consent.revoke_grant(ALICE, name, REQUEST)
    stage.clock.advance(1)
    await stage.consent.revoke_grant(ALICE, name, REQUEST)

    assert [event.facts["change"] for event in stage.notifier.events] == [
        *("made", "narrowed", "widened", "revoked")
    ]
    assert {event.grant for event in stage.notifier.events} == {str(name)}
    assert {event.type for event in stage.notifier.events} == {EventType.GRANT_CHANGED}
