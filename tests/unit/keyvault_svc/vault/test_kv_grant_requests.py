from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequests
from keyvault_svc.domain.limits import Limits
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_grant_requests import KvGrantRequests
from keyvault_svc.vault.paths import grant_requests_path
from tests.fakes.fake_clock import START
from tests.fakes.fake_kv_engine import FakeKvEngine
from tests.unit.keyvault_svc.custody_stage import TAGS
from tests.unit.keyvault_svc.samples import KEY, make_terms

TERMS = replace(
    make_terms(source_cidrs=("10.0.0.0/8",), expire_time=START),
    limits=Limits(usd_per_day=Decimal("1.5")),
    needs_owner_presence=True,
)
OPEN = GrantRequest("0" * 16, KEY, TERMS, "Rechnungen prüfen", "dev", START)
DECIDED = replace(OPEN, request_id="1" * 16).approved("alice", "Ja.", START).granted("2" * 16)
BOTH = GrantRequests(KEY.owner, (OPEN, DECIDED))
PATH = grant_requests_path(KEY.owner)


async def test_requests_come_back_as_they_went_in() -> None:
    store = KvGrantRequests(KvDocuments(FakeKvEngine().session))
    assert await store.read(KEY.owner, TAGS) == GrantRequests(KEY.owner)

    await store.write(BOTH, TAGS)

    assert await store.read(KEY.owner, TAGS) == replace(BOTH, revision=1)


async def test_what_was_stored_before_is_destroyed() -> None:
    engine = FakeKvEngine()
    store = KvGrantRequests(KvDocuments(engine.session))
    await store.write(BOTH, TAGS)

    await store.write(GrantRequests(KEY.owner, revision=1), TAGS)

    assert engine.versions[PATH][1] is None
    assert await store.read(KEY.owner, TAGS) == GrantRequests(KEY.owner, revision=2)


async def test_of_two_writers_one_is_refused() -> None:
    store = KvGrantRequests(KvDocuments(FakeKvEngine().session))
    await store.write(BOTH, TAGS)

    with pytest.raises(KeyChangedMeanwhileError):
        await store.write(GrantRequests(KEY.owner), TAGS)


async def test_removed_requests_are_gone_and_others_can_be_made() -> None:
    engine = FakeKvEngine()
    store = KvGrantRequests(KvDocuments(engine.session))
    await store.write(BOTH, TAGS)

    for _ in range(2):
        await store.remove(KEY.owner, TAGS)

    assert PATH not in engine.versions
    await store.write(BOTH, TAGS)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"more": 1},
        {"requests": [{}]},
        {"requests": None},
    ],
    ids=str,
)
async def test_what_are_no_requests_is_refused(changes: dict[str, object]) -> None:
    engine = FakeKvEngine()
    store = KvGrantRequests(KvDocuments(engine.session))
    await store.write(BOTH, TAGS)
    stored = engine.versions[PATH][1]
    assert stored is not None
    engine.versions[PATH][1] = {"record": json.dumps({**json.loads(stored["record"]), **changes})}

    with pytest.raises(KeyRecordUnreadableError):
        await store.read(KEY.owner, TAGS)
