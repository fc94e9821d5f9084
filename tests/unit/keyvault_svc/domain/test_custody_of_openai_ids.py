"""What an owner says of a key's id at OpenAI, and which keys can be reconciled by it."""

from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import KeyStateConflictError
from keyvault_svc.domain.key_change import KeyChange
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import (
    ALICE,
    API_KEY,
    OTHER_API_KEY,
    REQUEST,
    WRONG_KEY,
    Stage,
)
from tests.unit.keyvault_svc.samples import KEY, make_record

ID = "key_alice0123"
OTHER_ID = "key_other0123"


async def test_a_key_is_listed_from_its_first_record_on() -> None:
    stage = Stage()

    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)

    assert stage.stored().current.openai_key_id == ID
    assert stage.reconciled.names == {KEY}
    assert stage.line.requests.index("add reconciled") < stage.line.requests.index("write record")


async def test_a_key_without_an_id_is_not_listed() -> None:
    stage = Stage()

    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST)

    assert stage.reconciled.names == set()
    assert "add reconciled" not in stage.line.requests


async def test_a_key_is_listed_when_its_id_is_told_later() -> None:
    stage = Stage(make_record())

    record = await stage.custody.update(ALICE, KEY, KeyChange(openai_key_id=ID), REQUEST)

    assert record.current.openai_key_id == ID
    assert stage.reconciled.names == {KEY}
    assert stage.line.requests.index("add reconciled") < stage.line.requests.index("write record")


async def test_an_id_can_be_taken_away() -> None:
    stage = Stage(make_record().identified(ID))

    record = await stage.custody.update(ALICE, KEY, KeyChange(openai_key_id=""), REQUEST)

    assert not record.is_reconcilable


async def test_telling_an_id_needs_no_new_verification() -> None:
    stage = Stage(make_record())

    record = await stage.custody.update(ALICE, KEY, KeyChange(openai_key_id=ID), REQUEST)

    assert record.state is make_record().state
    assert stage.verifications.entries == {}


async def test_a_rotation_brings_the_id_of_the_new_key_once_that_serves() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)
    await stage.verify()

    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, openai_key_id=OTHER_ID)
    before = stage.stored().current.openai_key_id
    await stage.verify()

    assert (before, stage.stored().current.openai_key_id) == (ID, OTHER_ID)


async def test_a_rotation_without_an_id_does_not_keep_that_of_the_old_key() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)
    await stage.verify()

    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)
    await stage.verify()

    assert stage.stored().current.openai_key_id == ""


async def test_a_rotation_that_is_undone_brings_the_old_id_back() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)
    await stage.verify()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, openai_key_id=OTHER_ID)
    await stage.verify()

    await stage.custody.undo_rotation(ALICE, KEY, REQUEST)

    assert stage.stored().current.openai_key_id == ID


async def test_a_rotation_that_openai_refuses_leaves_the_id() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)
    await stage.verify()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, openai_key_id=OTHER_ID)

    await stage.verify(WRONG_KEY)

    assert stage.stored().current.openai_key_id == ID


async def test_during_a_rotation_a_new_id_is_that_of_the_new_key() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)
    await stage.verify()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    record = await stage.custody.update(ALICE, KEY, KeyChange(openai_key_id=OTHER_ID), REQUEST)

    assert record.incoming is not None
    assert (record.current.openai_key_id, record.incoming.openai_key_id) == (ID, OTHER_ID)


async def test_a_repeated_rotation_may_tell_the_id_that_the_first_did_not() -> None:
    stage = Stage()
    await stage.active()
    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST)

    await stage.custody.rotate(ALICE, KEY, OTHER_API_KEY, REQUEST, openai_key_id=OTHER_ID)

    incoming = stage.stored().incoming
    assert incoming is not None
    assert (incoming.number, incoming.openai_key_id) == (2, OTHER_ID)


async def test_a_deleted_key_is_listed_no_more() -> None:
    stage = Stage()
    await stage.custody.create(ALICE, KEY, API_KEY, REQUEST, openai_key_id=ID)

    await stage.custody.delete(ALICE, KEY, REQUEST)

    assert stage.reconciled.names == set()


def test_a_record_that_is_being_deleted_has_no_id_and_gets_none() -> None:
    deleted = make_record().identified(ID).deleted(START)

    assert not deleted.is_reconcilable
    with pytest.raises(KeyStateConflictError):
        deleted.identified(ID)


async def test_an_entry_that_was_dropped_while_the_record_was_written_is_made_again() -> None:
    stage = Stage(make_record())

    stage.line.before("write record", stage.reconciled.names.clear)
    await stage.custody.update(ALICE, KEY, KeyChange(openai_key_id=ID), REQUEST)

    assert stage.reconciled.names == {KEY}
