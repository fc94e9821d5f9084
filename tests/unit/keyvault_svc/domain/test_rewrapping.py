"""The rules of the rewrap job: patience, pace, resumption, and when the minimum may rise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.resealing import resealed, sealed_before
from keyvault_svc.domain.rewrap_ports import Epochs, RewrapProgress
from keyvault_svc.domain.rewrapping import RewrapStep
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.rewrap_stage import GRACE, LEASE_TIME, OWNERS, RewrapStage, name_of
from tests.unit.keyvault_svc.samples import make_record, make_version

_PATIENCE_SECONDS = 600
_FIRST = name_of("teams/payments", "a")
_LAST = name_of("users/bob", "b")


async def test_every_record_reaches_the_new_epoch_and_older_ones_open_no_more() -> None:
    stage = RewrapStage()
    result = await stage.run()

    assert stage.is_done
    assert (result.epochs, result.rewrapped, result.unreadable) == (Epochs(2, 2), 8, ())


async def test_every_version_of_a_key_is_rewrapped() -> None:
    stage = RewrapStage()
    retiring = replace(make_version(1, KeyState.RETIRING), number=1)
    record = make_record(name=_FIRST)
    stage.store.put(
        replace(record, current=make_version(2), incoming=make_version(3), retiring=retiring)
    )
    await stage.run()

    rewrapped = stage.store.current(_FIRST)
    assert rewrapped is not None
    assert len(rewrapped.ciphertexts) == 3
    assert list(sealed_before(rewrapped, 2)) == []


async def test_without_a_rotation_records_go_to_the_latest_epoch() -> None:
    stage = RewrapStage()
    await stage.epochs.rotate()
    await stage.run(is_rotating=False)

    assert stage.is_done


async def test_the_job_paces_itself() -> None:
    stage = RewrapStage()
    await stage.run(rate=4.0)

    assert stage.pauses.count(0.25) == 8 * 2  # to rewrap, and to check


async def test_the_minimum_rises_once_late_stores_and_leases_have_ended() -> None:
    stage = RewrapStage()
    late = make_record(name=name_of("users/alice", "late"))
    at_the_last_moment = GRACE.total_seconds() - 1

    def store_late(_: float) -> None:
        if stage.clock.monotonic() >= at_the_last_moment and late.name not in stage.names:
            stage.store.put(late)
            stage.names.append(late.name)

    stage.on_pause = store_late
    result = await stage.run()

    assert stage.is_done
    assert result.rewrapped == 9
    (raised,) = stage.epochs.raise_times
    assert raised >= (GRACE + LEASE_TIME).total_seconds()


async def test_progress_is_told_by_phase() -> None:
    stage = RewrapStage()
    await stage.run()

    owners = len(OWNERS)
    passes = [step for step in stage.steps if step.phase != "waiting"]
    assert passes == [
        *(RewrapStep("rewrapping", n + 1, owners, 2 * (n + 1)) for n in range(owners)),
        *(RewrapStep("checking", n + 1, owners, 8) for n in range(owners)),
    ]
    waits = [step for step in stage.steps if step.phase == "waiting"]
    assert {step.total for step in waits} == {40}  # leases have ended by then
    assert all(0 <= step.done <= step.total for step in waits)


# Patience


async def test_an_outage_of_nine_minutes_is_waited_out_at_any_request() -> None:
    healthy = RewrapStage()
    await healthy.run()
    for number in range(1, len(healthy.line.requests) + 1):
        stage = RewrapStage()
        stage.line.break_at(number)
        _mend_after(stage, timedelta(minutes=9))
        await stage.run()

        assert stage.is_done, healthy.line.requests[number - 1]


async def test_pauses_grow_to_ten_seconds() -> None:
    stage = RewrapStage()
    stage.line.break_at(1)
    _mend_after(stage, timedelta(seconds=40))
    await stage.run()

    assert stage.pauses[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_a_vault_that_stays_away_ends_the_job_after_ten_minutes() -> None:
    stage = RewrapStage()
    stage.line.break_at(20)
    with pytest.raises(VaultUnavailableError):
        await stage.run()

    assert _PATIENCE_SECONDS <= stage.clock.monotonic() < _PATIENCE_SECONDS + 11
    assert stage.lost == []


# Resumption


@pytest.mark.parametrize("is_answer_lost", [False, True])
async def test_a_job_that_ends_at_any_request_is_gone_on_with(*, is_answer_lost: bool) -> None:
    healthy = RewrapStage()
    await healthy.run()
    for number, what in enumerate(healthy.line.requests, 1):
        stage = RewrapStage()
        stage.line.break_at(number, is_answer_lost=is_answer_lost)
        with pytest.raises((VaultUnavailableError, KeyChangedMeanwhileError)):
            await stage.run()
        assert stage.lost == [], what
        stage.line.mend()
        await stage.run()

        # A job that is done, and cannot know it, is one that the next begins after.
        is_unknown = what == "clear progress" and is_answer_lost
        assert stage.epochs.epochs == (Epochs(3, 3) if is_unknown else Epochs(2, 2)), what
        assert (stage.lost, stage.log.progress) == ([], None), what


async def test_the_next_job_begins_after_the_owner_that_was_saved_last() -> None:
    healthy = RewrapStage()
    await healthy.run(rate=1.0)  # an owner takes two seconds, so that each is saved
    done = [progress.done_owner for progress in healthy.log.saves]
    assert done == ["", "", *OWNERS]

    for count, owner in enumerate(OWNERS, 1):
        stage = RewrapStage()
        stage.log.progress = RewrapProgress(1, 2, stage.clock.now(), owner, revision=5)
        stage.epochs.epochs = Epochs(2, 1)
        for name in stage.names[: 2 * count]:
            record = stage.store.current(name)
            assert record is not None
            new = dict.fromkeys(record.ciphertexts, f"vault:v2:{name}")
            stage.store.put(resealed(record, new))
            stage.store.versions[name].pop(1)
        result = await stage.run(rate=1.0)

        assert stage.is_done
        assert result.rewrapped == 8 - 2 * count
        first_pass = [tags.key for tags in stage.store.reads[: result.rewrapped]]
        assert first_pass == [str(name) for name in stage.names[2 * count :]]


async def test_a_rotation_whose_answer_was_lost_is_not_made_twice() -> None:
    stage = RewrapStage()
    stage.line.break_at(5, is_answer_lost=True)
    _mend_after(stage, timedelta(seconds=1))
    await stage.run()

    assert stage.line.requests[4] == "rotate"
    assert stage.line.requests.count("rotate") == 1
    assert stage.is_done


# Others at work


async def test_of_two_jobs_that_begin_at_once_with_other_aims_one_ends() -> None:
    stage = RewrapStage()
    other = RewrapProgress(first_epoch=0)  # it does not begin with a rotation
    stage.line.before("save progress", lambda: stage.log.save(other))
    with pytest.raises(KeyChangedMeanwhileError):
        await stage.run()

    assert (stage.epochs.epochs, stage.lost) == (Epochs(1, 1), [])


async def test_two_jobs_at_once_harm_nothing() -> None:
    stage = RewrapStage()
    await asyncio.gather(stage.run(rate=1.0), stage.run(rate=1.0))

    assert stage.line.requests.count("rotate") == 1
    assert stage.is_done


async def test_a_job_that_meets_anothers_progress_ends() -> None:
    stage = RewrapStage()

    def other_saves() -> None:
        assert stage.log.progress is not None
        progress = stage.log.progress
        stage.log.progress = replace(progress, revision=progress.revision + 1)

    stage.line.before("rotate", other_saves)
    with pytest.raises(KeyChangedMeanwhileError):
        await stage.run()

    assert stage.epochs.raise_times == []
    assert stage.lost == []


async def test_an_owner_who_writes_in_between_is_not_overwritten() -> None:
    stage = RewrapStage()
    changed = make_record(name=_FIRST, state=KeyState.DISABLED)
    stage.line.before("write record", lambda: _put(stage, changed))
    result = await stage.run()

    stored = stage.store.current(_FIRST)
    assert stored is not None
    assert (stored.state, result.rewrapped) == (KeyState.DISABLED, 8)
    assert list(sealed_before(stored, 2)) == []


async def test_a_record_that_others_write_again_and_again_ends_the_job() -> None:
    stage = RewrapStage()
    for _ in range(8):
        stage.line.before("write record", lambda: _put(stage, make_record(name=_FIRST)))
    with pytest.raises(KeyChangedMeanwhileError):
        await stage.run()

    assert stage.epochs.epochs.minimum == 1


async def test_a_record_that_is_deleted_meanwhile_is_passed_over() -> None:
    stage = RewrapStage()
    stage.names.remove(_FIRST)

    async def delete() -> None:
        await stage.store.delete(_FIRST, stage.tags(_FIRST))

    stage.line.before("read record", delete)
    result = await stage.run()

    assert stage.is_done
    assert result.rewrapped == 7


async def test_a_record_that_does_not_open_is_named_and_keeps_the_minimum() -> None:
    stage = RewrapStage()
    await stage.epochs.rotate()
    await stage.epochs.raise_minimum(2)
    for name in stage.names[:-1]:
        record = make_record(name=name)
        stage.store.put(resealed(record, dict.fromkeys(record.ciphertexts, "vault:v2:x")))
    result = await stage.run()

    assert result.unreadable == (_LAST,)
    assert result.rewrapped == 7
    assert stage.epochs.epochs == Epochs(3, 2)
    assert stage.log.progress is not None

    await stage.store.delete(_LAST, stage.tags(_LAST))
    result = await stage.run()
    assert result.unreadable == ()
    assert stage.epochs.epochs == Epochs(3, 3)


def _put(stage: RewrapStage, record: KeyRecord) -> None:
    stage.store.put(record)


def _mend_after(stage: RewrapStage, time: timedelta) -> None:
    """Have Vault answer again *time* after the job has met that it does not."""
    away_since: list[float] = []

    def mend(_: float) -> None:
        if stage.line.is_broken:
            away_since.append(stage.clock.monotonic())
            if stage.clock.monotonic() >= away_since[0] + time.total_seconds():
                stage.line.mend()

    stage.on_pause = mend
