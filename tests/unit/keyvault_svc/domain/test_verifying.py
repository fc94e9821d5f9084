from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import VerificationNotFoundError
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import VerificationOutcome
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.verifying import retry_pause
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    VERIFIED,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_record, make_version

UNREACHABLE = VerificationOutcome.OPENAI_UNREACHABLE
NO_QUOTA = VerificationOutcome.NO_QUOTA
BOBS = KeyName.parse("users/bob/keys/openai", "name")


async def _waiting() -> Stage:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    return stage


async def test_a_claim_hands_out_the_sealed_key_under_a_lease_of_the_gateway() -> None:
    stage = await _waiting()
    stage.store.reads.clear()

    lease = await stage.claim()

    sealed = stage.stored().current.sealed
    assert sealed is not None
    assert (lease.key, lease.key_version, lease.ciphertext) == (KEY, 1, sealed.ciphertext)
    assert lease.grant_id == ""
    assert stage.store.reads == [AuditTags(REQUEST, str(KEY), lease.lease_id, str(GATEWAY))]


async def test_a_lease_to_verify_a_key_of_high_assurance_is_wrapped() -> None:
    stage = Stage(replace(make_record(), assurance=KeyAssurance.HIGH))
    await stage.custody.verify(ALICE, KEY, REQUEST)

    lease = await stage.claim()

    assert lease.ciphertext == ""
    assert lease.wrapping_token is not None
    assert stage.wrapper.wrapped[0][1].lease_id == lease.lease_id


async def test_where_nothing_is_queued_there_is_nothing_to_claim() -> None:
    stage = Stage()

    assert await stage.verifying.claim(GATEWAY, REQUEST) is None


@pytest.mark.parametrize("stopped", ["*", "users/alice", str(KEY), str(GATEWAY)])
async def test_no_key_leaves_custody_to_be_verified_while_its_use_is_suspended(
    stopped: str,
) -> None:
    stage = await _waiting()
    subject = Subject.parse(stopped, "subject")
    suspension = Suspension(subject, "drill", "olga", stage.clock.now())
    stage.controls.stored = Controls({subject: suspension})
    stage.store.reads.clear()

    assert await stage.verifying.claim(GATEWAY, REQUEST) is None
    assert stage.store.reads == []
    stage.controls.stored = Controls()
    assert (await stage.claim()).key == KEY


async def test_the_keys_of_others_are_verified_while_one_is_suspended() -> None:
    stage = await _waiting()
    await stage.custody.create(Person("bob"), BOBS, OTHER_API_KEY, REQUEST)
    subject = Subject(KEY)
    suspension = Suspension(subject, "drill", "olga", stage.clock.now())
    stage.controls.stored = Controls({subject: suspension})

    assert (await stage.claim()).key == BOBS
    assert await stage.verifying.claim(GATEWAY, REQUEST) is None


async def test_nothing_is_verified_while_the_controls_cannot_be_read() -> None:
    stage = await _waiting()
    stage.line.before("read controls", lambda: stage.line.break_at(1))

    with pytest.raises(VaultUnavailableError):
        await stage.claim()

    stage.line.mend()
    assert (await stage.claim()).key == KEY


async def test_a_claim_is_one_gateways_for_a_minute() -> None:
    stage = await _waiting()
    first = await stage.claim()

    stage.clock.advance(59)
    assert await stage.verifying.claim(GATEWAY, REQUEST) is None
    stage.clock.advance(1)
    second = await stage.claim()

    assert second.lease_id != first.lease_id


async def test_of_two_gateways_that_claim_at_once_one_gets_it() -> None:
    stage = await _waiting()
    claims = []

    async def other() -> None:
        claims.append(await stage.verifying.claim(GATEWAY, REQUEST))

    stage.line.before("write verification", other)
    claims.append(await stage.verifying.claim(GATEWAY, REQUEST))

    got = [lease for lease in claims if lease is not None]
    assert len(claims) == 2
    assert [lease.lease_id for lease in got] == [stage.queued().lease_id]


async def test_a_claim_takes_another_entry_where_one_is_taken() -> None:
    stage = await _waiting()
    await stage.claim()
    await stage.custody.create(replace(ALICE, name="bob"), BOBS, OTHER_API_KEY, REQUEST)

    assert (await stage.claim()).key == BOBS


async def test_a_report_of_a_claim_that_somebody_else_has_by_now_is_refused() -> None:
    stage = await _waiting()
    first = await stage.claim()
    stage.clock.advance(60)
    second = await stage.claim()

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, first.lease_id, WRONG_KEY, REQUEST)

    await stage.verifying.report(KEY, second.lease_id, VERIFIED, REQUEST)
    assert stage.stored().state is KeyState.ACTIVE


async def test_a_late_report_counts_while_nobody_else_has_the_claim() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    stage.clock.advance(600)

    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    assert stage.stored().state is KeyState.ACTIVE


async def test_a_report_counts_once() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert stage.stored().state is KeyState.ACTIVE


@pytest.mark.parametrize("lease_id", ["", "0" * 32])
async def test_a_report_of_what_nobody_claimed_is_refused(lease_id: str) -> None:
    stage = await _waiting()

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, lease_id, VERIFIED, REQUEST)

    assert stage.stored().state is KeyState.PENDING


async def test_a_report_reads_under_no_lease() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    stage.store.reads.clear()

    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    assert {tags.lease_id for tags in stage.store.reads} == {""}


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (9, 600), (1000, 600)],
)
def test_the_pause_doubles_up_to_ten_minutes(attempt: int, seconds: int) -> None:
    assert retry_pause(attempt) == timedelta(seconds=seconds)


async def test_while_openai_is_away_it_is_tried_again_later_and_later() -> None:
    stage = await _waiting()

    for attempt, pause in enumerate((5, 10, 20, 40), start=1):
        record = await stage.verify(UNREACHABLE)
        assert record is not None
        assert record.state is KeyState.PENDING
        assert stage.queued().attempt == attempt
        stage.clock.advance(pause - 1)
        assert await stage.verifying.claim(GATEWAY, REQUEST) is None
        stage.clock.advance(1)

    await stage.verify()
    assert stage.stored().state is KeyState.ACTIVE
    assert stage.verifications.entries == {}


@pytest.mark.parametrize("outcome", [NO_QUOTA, VerificationOutcome.NO_PERMISSION])
async def test_what_its_owner_must_mend_is_not_tried_again_by_itself(
    outcome: VerificationOutcome,
) -> None:
    stage = await _waiting()

    await stage.verify(outcome)

    current = stage.stored().current
    assert current.state is KeyState.PENDING
    assert current.verification is not None
    assert current.verification.outcome is outcome
    assert stage.verifications.entries == {}
    await stage.custody.verify(ALICE, KEY, REQUEST)
    await stage.verify()
    assert stage.stored().state is KeyState.ACTIVE


async def test_a_version_that_waits_behind_another_is_tried_next() -> None:
    current = replace(make_version(state=KeyState.PENDING), number=1)
    incoming = make_version(2, KeyState.PENDING, fingerprint="b")
    stage = Stage(replace(make_record(), current=current, incoming=incoming, last_number=2))
    await stage.custody.verify(ALICE, KEY, REQUEST)

    await stage.verify(NO_QUOTA)
    await stage.verify(NO_QUOTA)

    assert stage.verifications.entries == {}
    assert [v.verification is not None for v in stage.stored().versions] == [True, True]
