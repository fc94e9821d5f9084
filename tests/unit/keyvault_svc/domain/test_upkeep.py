from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.upkeep import UpkeepResult
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import REQUEST, TAGS, Stage
from tests.unit.keyvault_svc.samples import KEY, make_record

OTHER = KeyName.parse("users/alice/keys/other", "name")


async def test_what_is_not_due_is_left() -> None:
    stage = Stage()
    rotated = await stage.rotated()

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(0, 0)
    assert stage.stored() == rotated


async def test_a_kept_version_whose_time_has_come_is_destroyed_once() -> None:
    stage = Stage()
    await stage.rotated(timedelta(seconds=10))
    stage.clock.advance(10)

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(1, 0)
    assert stage.stored().retiring is None
    assert await stage.upkeep.run(REQUEST) == UpkeepResult(0, 0)


async def test_an_entry_about_a_key_that_has_gone_is_dropped() -> None:
    stage = Stage()
    await stage.retirements.add(KEY, START, TAGS)

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(1, 0)
    assert stage.retirements.entries == {}


async def test_an_entry_that_another_replica_has_done_is_done() -> None:
    stage = Stage(make_record())
    await stage.retirements.add(KEY, START, TAGS)
    stage.line.before("read retirement", stage.retirements.entries.clear)

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(1, 0)


async def test_an_entry_that_fails_stays_and_keeps_no_other_from_being_done() -> None:
    stage = Stage(make_record().deleted(START - timedelta(days=1)))
    await stage.retirements.add(KEY, START, TAGS)
    await stage.retirements.add(OTHER, START, TAGS)
    stage.line.before("write record", lambda: _put_tombstone(stage))

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(1, 1)
    assert set(stage.retirements.entries.values()) == {KEY}


def _put_tombstone(stage: Stage) -> None:
    stage.store.put(stage.stored().deleted(START))


async def test_a_deletion_that_may_be_under_way_is_left_to_who_began_it() -> None:
    stage = Stage(make_record().deleted(START))
    await stage.retirements.add(KEY, START, TAGS)

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(0, 0)
    assert stage.stored().state is KeyState.DELETED
    await stage.keep_up(seconds=60)

    assert not (stage.store.versions)
    assert not (stage.retirements.entries)


async def test_while_vault_cannot_tell_what_is_due_nothing_is_done() -> None:
    stage = Stage()
    stage.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await stage.upkeep.run(REQUEST)


async def test_a_round_does_100_entries_and_the_next_goes_on() -> None:
    stage = Stage()
    for number in range(150):
        await stage.retirements.add(
            KeyName.parse(f"users/alice/keys/k{number}", "name"),
            START - timedelta(seconds=number),
            TAGS,
        )

    assert await stage.upkeep.run(REQUEST) == UpkeepResult(100, 0)
    assert len(stage.retirements.entries) == 50
    assert await stage.upkeep.run(REQUEST) == UpkeepResult(50, 0)
