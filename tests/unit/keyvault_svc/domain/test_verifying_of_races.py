from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.errors import VerificationNotFoundError
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.ports import QueuedVerification
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    THIRD_API_KEY,
    VERIFIED,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_record


async def _waiting() -> Stage:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    return stage


async def test_what_was_queued_anew_while_openai_was_asked_stays_queued() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    stage.line.before(
        "remove verification", lambda: stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    )

    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    assert stage.stored().incoming is not None
    assert stage.queued().is_due(START)


async def test_a_rotation_forgets_the_claim_under_way() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    assert (await stage.claim()).key_version == 2


@pytest.mark.parametrize("step", ["read record", "write record"])
async def test_a_rotation_while_a_report_is_taken_is_verified_itself(step: str) -> None:
    stage = await _waiting()
    lease = await stage.claim()
    stage.line.before(step, lambda: stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST))

    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    waiting = stage.stored().to_verify
    assert waiting is not None
    assert (waiting.number, waiting.awaits_verification) == (2, True)
    assert stage.queued().is_due(START)


async def test_a_verification_of_a_version_that_has_gone_changes_nothing() -> None:
    stage = await _waiting()
    await stage.verify()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    lease = await stage.claim()
    entry = stage.queued()
    await stage.custody.rotate(ALICE, KEY, THIRD_API_KEY, REQUEST)
    stage.verifications.put(entry)
    before = stage.stored()

    assert await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST) is None

    assert stage.stored() == before
    assert stage.queued().is_due(START)


async def test_a_key_that_is_deleted_while_openai_is_asked_stays_deleted() -> None:
    stage = await _waiting()
    lease = await stage.claim()
    await stage.custody.delete(ALICE, KEY, REQUEST)

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)

    assert not (stage.store.versions)
    assert not (stage.verifications.entries)


async def test_a_key_that_is_switched_off_while_openai_is_asked_stays_off() -> None:
    stage = Stage(make_record())
    await stage.custody.verify(ALICE, KEY, REQUEST)
    lease = await stage.claim()
    await stage.custody.disable(ALICE, KEY, REQUEST)

    record = await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert record is not None
    assert record.state is KeyState.DISABLED


@pytest.mark.parametrize("state", [KeyState.DISABLED, KeyState.EXPIRED, KeyState.DELETED])
async def test_an_entry_of_a_key_that_shall_not_be_opened_is_dropped(state: KeyState) -> None:
    stage = Stage(make_record(state=state))
    stage.verifications.put(QueuedVerification(KEY, START))

    assert await stage.verifying.claim(GATEWAY, REQUEST) is None

    assert stage.verifications.entries == {}


async def test_an_entry_without_a_record_is_given_some_seconds() -> None:
    stage = Stage()
    stage.verifications.put(QueuedVerification(KEY, START))

    for _ in range(5):
        assert await stage.verifying.claim(GATEWAY, REQUEST) is None
        assert KEY in stage.verifications.entries
        assert await stage.verifying.claim(GATEWAY, REQUEST) is None
        stage.clock.advance(1)
    assert await stage.verifying.claim(GATEWAY, REQUEST) is None

    assert stage.verifications.entries == {}


async def test_a_key_that_cannot_be_wrapped_now_is_claimed_a_minute_later() -> None:
    stage = Stage(replace(make_record(), assurance=KeyAssurance.HIGH))
    await stage.custody.verify(ALICE, KEY, REQUEST)
    stage.line.before("wrap", lambda: stage.line.break_at(1))
    with pytest.raises(VaultUnavailableError):
        await stage.verifying.claim(GATEWAY, REQUEST)
    stage.line.mend()

    assert await stage.verifying.claim(GATEWAY, REQUEST) is None
    stage.clock.advance(60)
    assert (await stage.claim()).wrapping_token is not None
