from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyNotFoundError,
    KeyStateConflictError,
)
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import TAGS, Stage
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_version

DAY = timedelta(days=1)
TWO_VERSIONS = replace(
    make_record(),
    incoming=make_version(2, KeyState.PENDING, fingerprint="b"),
    last_number=2,
)


def _high(record: KeyRecord) -> KeyRecord:
    return record.handed_over(KeyAssurance.HIGH)


async def test_a_record_is_found_by_one_read_as_it_stands_now() -> None:
    stage = Stage(replace(make_record(), expire_time=START))

    record = await stage.records.find(KEY, TAGS)

    assert record is not None
    assert record.state is KeyState.EXPIRED
    assert stage.line.requests == ["read record"]


async def test_what_is_not_there_is_none_or_an_error() -> None:
    stage = Stage()

    assert await stage.records.find(KEY, TAGS) is None
    with pytest.raises(KeyNotFoundError):
        await stage.records.get(KEY, TAGS)


async def test_a_change_that_changes_nothing_is_not_written() -> None:
    stage = Stage(make_record())

    await stage.records.change(KEY, TAGS, lambda record: record)

    assert stage.line.requests == ["read record"]


async def test_a_change_that_drops_no_plaintext_is_one_read_and_one_write() -> None:
    stage = Stage(make_record())

    record = await stage.records.change(KEY, TAGS, _high)

    assert record == stage.stored()
    assert stage.line.requests == ["read record", "write record"]


async def test_a_change_is_made_anew_on_what_another_writer_left() -> None:
    stage = Stage(make_record())
    stage.line.before("write record", lambda: _put(stage, make_record(make_grant())))

    record = await stage.records.change(KEY, TAGS, _high)

    assert (record.grants, record.assurance) == ((make_grant(),), KeyAssurance.HIGH)


def _put(stage: Stage, record: KeyRecord) -> None:
    stage.store.put(record)


async def test_a_change_that_is_no_longer_allowed_is_refused() -> None:
    stage = Stage(make_record())
    stage.line.before("write record", lambda: _put(stage, make_record().deleted(START)))

    with pytest.raises(KeyStateConflictError):
        await stage.records.change(KEY, TAGS, _high)


async def test_a_destruction_is_noted_before_the_record_is_written() -> None:
    stage = Stage(TWO_VERSIONS)

    await stage.records.change(KEY, TAGS, lambda record: record.undone(START))

    assert stage.line.requests == [
        "read record",
        "add retirement",
        "write record",
        "list versions",
        "destroy versions",
        "read record",
        "read fingerprint",
        "write fingerprint",
    ]
    assert stage.held_plaintexts() == stage.stored().ciphertexts
    assert set(stage.index.noted) == {"hmac"}


async def test_a_destruction_that_breaks_off_is_finished_a_minute_later() -> None:
    stage = Stage(TWO_VERSIONS)
    stage.line.break_at(4)
    with pytest.raises(VaultUnavailableError):
        await stage.records.change(KEY, TAGS, lambda record: record.undone(START))
    stage.line.mend()
    assert stage.held_plaintexts() > stage.stored().ciphertexts

    await stage.keep_up(seconds=60)

    assert stage.held_plaintexts() == stage.stored().ciphertexts
    assert stage.retirements.entries == {}


async def test_a_deletion_leaves_a_record_of_nothing_before_it_destroys() -> None:
    stage = Stage(make_record(make_grant()))
    stage.line.before("drop record", lambda: stage.line.break_at(1))

    with pytest.raises(VaultUnavailableError):
        await stage.records.delete(KEY, TAGS)

    assert stage.stored().state is KeyState.DELETED
    assert stage.held_plaintexts() == set()


async def test_a_deletion_that_meets_a_new_version_destroys_nothing_of_it() -> None:
    stage = Stage(make_record())
    _put(stage, make_record().deleted(START))
    stage.line.before("destroy versions", lambda: _put(stage, TWO_VERSIONS))

    with pytest.raises(KeyChangedMeanwhileError):
        await stage.store.delete(KEY, TAGS)

    assert stage.stored().ciphertexts == TWO_VERSIONS.ciphertexts


async def test_tidying_a_key_that_has_gone_is_done() -> None:
    assert await Stage().records.tidy(KEY, TAGS)


async def test_tidying_destroys_what_its_record_holds_no_longer() -> None:
    stage = Stage(TWO_VERSIONS)
    _put(stage, replace(make_record(), revision=1))

    assert await stage.records.tidy(KEY, TAGS)

    assert list(stage.store.versions[KEY]) == [2]


async def test_tidying_leaves_a_deletion_to_who_began_it_for_a_minute() -> None:
    stage = Stage(make_record().deleted(START))

    assert not await stage.records.tidy(KEY, TAGS)
    stage.clock.advance(60)
    assert await stage.records.tidy(KEY, TAGS)

    assert stage.store.versions == {}


async def test_of_several_that_finish_a_deletion_one_goes_on() -> None:
    stage = Stage(make_record().deleted(START - DAY))
    stage.line.before("write record", lambda: _put(stage, make_record().deleted(START)))

    with pytest.raises(KeyChangedMeanwhileError):
        await stage.records.tidy(KEY, TAGS)

    assert stage.stored().state is KeyState.DELETED
