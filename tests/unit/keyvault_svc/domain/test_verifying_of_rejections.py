"""When owners hear that OpenAI rejected a key of theirs."""

from __future__ import annotations

import contextlib

import pytest

from keyvault_svc.domain.errors import VerificationNotFoundError
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.key_version import VerificationOutcome
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    OTHER_API_KEY,
    REQUEST,
    TAGS,
    THIRD_API_KEY,
    VERIFIED,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY

CURRENT_1 = {"place": "current", "version": "1"}
INCOMING_2 = {"place": "incoming", "version": "2"}
INCOMING_3 = {"place": "incoming", "version": "3"}


def _told(stage: Stage) -> list[dict[str, str]]:
    assert {event.type for event in stage.notifier.events} <= {EventType.KEY_REJECTED}
    return [dict(event.facts) for event in stage.notifier.events]


async def _recheck(stage: Stage, outcome: VerificationOutcome) -> None:
    stage.clock.advance(10)
    await stage.verifying.recheck(KEY, TAGS)
    await stage.verify(outcome)


async def test_the_owner_hears_of_a_new_key_that_openai_rejects() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    await stage.verify(WRONG_KEY)

    (event,) = stage.notifier.events
    assert (event.type, event.owner, event.key) == (EventType.KEY_REJECTED, KEY.owner, str(KEY))
    assert (event.grant, event.app, event.time) == ("", "", stage.clock.now())
    assert event.facts == CURRENT_1


async def test_the_owner_hears_once_that_openai_rejects_a_key_that_served() -> None:
    stage = Stage()
    await stage.active()

    for _ in range(3):
        await _recheck(stage, WRONG_KEY)

    assert _told(stage) == [CURRENT_1]


async def test_the_owner_hears_again_of_a_key_that_openai_took_in_between() -> None:
    stage = Stage()
    await stage.active()

    for outcome in (WRONG_KEY, VERIFIED, WRONG_KEY):
        await _recheck(stage, outcome)

    assert _told(stage) == [CURRENT_1, CURRENT_1]


async def test_the_owner_hears_of_each_new_key_of_a_rotation_that_openai_rejects() -> None:
    stage = Stage()
    await stage.active()

    for api_key in (OTHER_API_KEY, THIRD_API_KEY):
        await stage.custody.rotate(ALICE, KEY, api_key, REQUEST)
        await stage.verify(WRONG_KEY)

    assert _told(stage) == [INCOMING_2, INCOMING_3]


@pytest.mark.parametrize("outcome", sorted(set(VerificationOutcome) - {WRONG_KEY}))
async def test_the_owner_hears_of_no_other_outcome(outcome: VerificationOutcome) -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    await stage.verify(outcome)

    assert _told(stage) == []


async def test_nobody_hears_of_a_key_that_was_switched_off_meanwhile() -> None:
    stage = Stage()
    await stage.active()
    await stage.verifying.recheck(KEY, TAGS)
    stage.clock.advance(10)
    lease = await stage.claim()
    await stage.custody.disable(ALICE, KEY, REQUEST)

    await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert _told(stage) == []


async def test_nobody_hears_of_a_key_that_was_deleted_meanwhile() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    lease = await stage.claim()
    stage.store.versions.clear()

    await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert _told(stage) == []


@pytest.mark.parametrize("last", ["write record", "destroy versions", "remove verification"])
async def test_the_owner_hears_once_though_vault_goes_away_after_the_news(last: str) -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    lease = await stage.claim()

    stage.line.before(last, lambda: stage.line.break_at(1, is_answer_lost=True))
    with pytest.raises(VaultUnavailableError):
        await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)
    stage.line.mend()
    with contextlib.suppress(VerificationNotFoundError):  # only its answer was lost
        await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert _told(stage) == [INCOMING_2]


async def test_nobody_hears_of_a_report_that_is_refused() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    await stage.claim()

    with pytest.raises(VerificationNotFoundError):
        await stage.verifying.report(KEY, "0" * 32, WRONG_KEY, REQUEST)

    assert _told(stage) == []


async def test_the_owner_hears_once_though_another_writer_comes_between() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)
    lease = await stage.claim()

    async def write() -> None:
        stage.store.put(stage.stored())

    stage.line.before("write record", write)

    await stage.verifying.report(KEY, lease.lease_id, WRONG_KEY, REQUEST)

    assert _told(stage) == [CURRENT_1]
