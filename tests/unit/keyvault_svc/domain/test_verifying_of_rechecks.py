from __future__ import annotations

from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import VerificationOutcome
from keyvault_svc.domain.ports import QueuedVerification
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    GATEWAY,
    OTHER_API_KEY,
    REQUEST,
    TAGS,
    VERIFIED,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_record

NO_QUOTA = VerificationOutcome.NO_QUOTA


async def _waiting() -> Stage:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    return stage


async def test_a_refused_call_has_the_serving_key_tried() -> None:
    stage = Stage(make_record())

    await stage.verifying.recheck(KEY, TAGS)
    await stage.verifying.recheck(KEY, TAGS)
    await stage.verify(WRONG_KEY)

    assert stage.stored().state is KeyState.REJECTED


async def test_a_refused_call_does_not_take_a_claim_away() -> None:
    stage = await _waiting()
    lease = await stage.claim()

    await stage.verifying.recheck(KEY, TAGS)

    await stage.verifying.report(KEY, lease.lease_id, VERIFIED, REQUEST)
    assert stage.stored().state is KeyState.ACTIVE


async def test_refused_calls_have_a_key_tried_every_ten_seconds_at_most() -> None:
    stage = Stage(make_record())
    await stage.verifying.recheck(KEY, TAGS)
    await stage.verify()

    stage.clock.advance(9)
    await stage.verifying.recheck(KEY, TAGS)
    assert await stage.verifying.claim(GATEWAY, REQUEST) is None

    stage.clock.advance(1)
    assert (await stage.claim()).key_version == 1


async def test_a_refused_call_is_about_the_key_that_serves() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify(NO_QUOTA)
    stage.clock.advance(60)

    await stage.verifying.recheck(KEY, TAGS)
    await stage.verify(WRONG_KEY)

    record = stage.stored()
    assert record.state is KeyState.REJECTED
    assert record.incoming is not None
    assert record.incoming.state is KeyState.PENDING


async def test_a_rotation_that_follows_a_refused_call_is_not_held_up_by_it() -> None:
    stage = Stage()
    await stage.active()
    await stage.verifying.recheck(KEY, TAGS)

    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    assert (await stage.claim()).key_version == 2


async def test_a_pending_version_behind_a_recheck_is_queued_in_its_turn() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    stage.verifications.put(QueuedVerification(KEY, START, is_recheck=True))

    assert await stage.verifying.claim(GATEWAY, REQUEST) is None  # it was tried just now

    assert (await stage.claim()).key_version == 2
