"""The queues that replicas share: of verifications, and of retirements; and the fingerprints."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import QueuedVerification
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_fingerprint_index import KvFingerprintIndex
from keyvault_svc.vault.kv_retirement_queue import KvRetirementQueue
from keyvault_svc.vault.kv_verification_queue import KvVerificationQueue
from keyvault_svc.vault.paths import verification_id
from tests.contract.vault_under_test import VaultUnderTest, new_name, tags_of
from tests.fakes.fake_clock import START


async def test_one_of_two_claims_of_a_verification_counts(vault: VaultUnderTest) -> None:
    name = new_name()
    tags, entry_id = tags_of(name), verification_id(name)
    async with vault.session("keyvault-svc") as session:
        queue = KvVerificationQueue(KvDocuments(session))
        await queue.write(QueuedVerification(name, START), tags)
        assert entry_id in await queue.ids()
        found = await queue.read(entry_id, tags)
        assert found is not None
        until = START + timedelta(minutes=1)
        await queue.write(found.claimed("first", 1, until), tags)
        with pytest.raises(KeyChangedMeanwhileError):
            await queue.write(found.claimed("second", 1, until), tags)

        claimed = await queue.find(name, tags)

    assert claimed is not None
    assert (claimed.lease_id, claimed.is_due(START), claimed.is_due(until)) == (
        "first",
        False,
        True,
    )


async def test_a_key_has_one_verification_until_it_is_removed(vault: VaultUnderTest) -> None:
    name = new_name()
    tags = tags_of(name)
    async with vault.session("keyvault-svc") as session:
        queue = KvVerificationQueue(KvDocuments(session))
        await queue.write(QueuedVerification(name, START), tags)
        with pytest.raises(KeyChangedMeanwhileError):
            await queue.write(QueuedVerification(name, START, attempt=1), tags)

        await queue.remove(name, tags)
        await queue.remove(name, tags)
        assert await queue.find(name, tags) is None
        await queue.write(QueuedVerification(name, START), tags)


async def test_retirements_come_due_in_the_order_of_their_times(vault: VaultUnderTest) -> None:
    owner = new_name().owner
    names = [KeyName(owner, f"k{n}") for n in range(3)]
    tags = tags_of(names[0])
    async with vault.session("keyvault-svc") as session:
        queue = KvRetirementQueue(KvDocuments(session))
        for name, seconds in zip(names, (20, 10, 30), strict=True):
            await queue.add(name, START + timedelta(seconds=seconds), tags)
            await queue.add(name, START + timedelta(seconds=seconds), tags)

        assert await queue.due(START + timedelta(seconds=9)) == []
        due = await queue.due(START + timedelta(seconds=25))
        assert [await queue.read(entry_id) for entry_id in due] == [names[1], names[0]]

        await queue.cancel(names[2], START + timedelta(seconds=30), tags)
        await queue.remove(due[0])
        await queue.remove(due[0])
        assert await queue.due(START + timedelta(seconds=60)) == due[1:]
        assert await queue.read(due[0]) is None
        await queue.remove(due[1])


async def test_keys_of_one_plaintext_are_found_by_its_fingerprint(vault: VaultUnderTest) -> None:
    first, second = new_name(), new_name()
    tags, fingerprint = tags_of(first), f"vault:v1:{first}"
    async with vault.session("keyvault-svc") as session:
        index = KvFingerprintIndex(KvDocuments(session))
        for name in (first, second, first):
            await index.add(fingerprint, name, tags)
        assert await index.holders(fingerprint, tags) == (first, second)

        await index.remove(fingerprint, first, tags)
        await index.remove(fingerprint, first, tags)
        assert await index.holders(fingerprint, tags) == (second,)
