from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_retirement_queue import KvRetirementQueue
from keyvault_svc.vault.paths import retirement_id, retirement_path
from tests.fakes.fake_clock import START
from tests.fakes.fake_kv_engine import FakeKvEngine
from tests.unit.keyvault_svc.custody_stage import TAGS
from tests.unit.keyvault_svc.samples import KEY

BOBS = KeyName.parse("users/bob/keys/openai", "name")
SECOND = timedelta(seconds=1)


async def test_what_is_due_comes_oldest_first_and_what_is_not_stays_away() -> None:
    queue = KvRetirementQueue(KvDocuments(FakeKvEngine().session))
    await queue.add(BOBS, START, TAGS)
    await queue.add(KEY, START - SECOND, TAGS)
    await queue.add(KEY, START + SECOND, TAGS)

    due = await queue.due(START)

    assert [await queue.read(entry_id) for entry_id in due] == [KEY, BOBS]


async def test_what_is_noted_twice_is_one_entry() -> None:
    queue = KvRetirementQueue(KvDocuments(FakeKvEngine().session))

    for _ in range(2):
        await queue.add(KEY, START, TAGS)

    assert len(await queue.due(START)) == 1


async def test_a_removed_entry_is_gone() -> None:
    queue = KvRetirementQueue(KvDocuments(FakeKvEngine().session))
    await queue.add(KEY, START, TAGS)
    (entry_id,) = await queue.due(START)

    for _ in range(2):
        await queue.remove(entry_id)

    assert await queue.due(START) == []
    assert await queue.read(entry_id) is None


async def test_what_names_no_key_is_refused() -> None:
    engine = FakeKvEngine()
    entry_id = retirement_id(KEY, START)
    engine.versions[retirement_path(entry_id)] = {1: {"record": "alice"}}

    with pytest.raises(KeyRecordUnreadableError):
        await KvRetirementQueue(KvDocuments(engine.session)).read(entry_id)
