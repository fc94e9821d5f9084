from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.ports import QueuedVerification
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_verification_queue import KvVerificationQueue
from keyvault_svc.vault.paths import verification_id, verification_path
from tests.fakes.fake_clock import START
from tests.fakes.fake_kv_engine import FakeKvEngine
from tests.unit.keyvault_svc.custody_stage import TAGS
from tests.unit.keyvault_svc.samples import KEY

CLAIMED = QueuedVerification(
    KEY, START, 3, is_recheck=True, lease_id="0" * 32, number=7, claim_end_time=START
)
PATH = verification_path(verification_id(KEY))


@pytest.mark.parametrize(
    "entry", [QueuedVerification(KEY, START), CLAIMED], ids=["free", "claimed"]
)
async def test_an_entry_comes_back_as_it_went_in(entry: QueuedVerification) -> None:
    queue = KvVerificationQueue(KvDocuments(FakeKvEngine().session))

    await queue.write(entry, TAGS)

    (entry_id,) = await queue.ids()
    assert await queue.read(entry_id, TAGS) == replace(entry, revision=1)
    assert await queue.find(KEY, TAGS) == replace(entry, revision=1)


async def test_of_two_writers_one_is_refused() -> None:
    queue = KvVerificationQueue(KvDocuments(FakeKvEngine().session))
    await queue.write(CLAIMED, TAGS)

    with pytest.raises(KeyChangedMeanwhileError):
        await queue.write(replace(CLAIMED, due_time=START + timedelta(seconds=1)), TAGS)


async def test_a_removed_entry_is_gone_and_can_be_written_anew() -> None:
    queue = KvVerificationQueue(KvDocuments(FakeKvEngine().session))
    await queue.write(CLAIMED, TAGS)

    for _ in range(2):
        await queue.remove(KEY, TAGS)

    assert await queue.ids() == []
    assert await queue.find(KEY, TAGS) is None
    await queue.write(CLAIMED, TAGS)


@pytest.mark.parametrize(
    "changes",
    [{"key": "alice"}, {"attempt": -1}, {"due_time": "soon"}, {"more": 1}, {"number": None}],
)
async def test_what_is_no_entry_is_refused(changes: dict[str, object]) -> None:
    engine = FakeKvEngine()
    queue = KvVerificationQueue(KvDocuments(engine.session))
    await queue.write(CLAIMED, TAGS)
    stored = engine.versions[PATH][1]
    assert stored is not None
    engine.versions[PATH][1] = {"record": json.dumps({**json.loads(stored["record"]), **changes})}

    with pytest.raises(KeyRecordUnreadableError):
        await queue.find(KEY, TAGS)
