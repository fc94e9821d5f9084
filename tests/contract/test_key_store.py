"""Records on KV: check-and-set, what is destroyed, and a write whose answer is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import hvac
import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from svc_runtime.clock import SystemClock
from tests.contract.vault_under_test import (
    VaultUnderTest,
    new_name,
    new_plaintext,
    tags_of,
)
from tests.tcp_relay import TcpRelay


def _changed(record: KeyRecord) -> KeyRecord:
    return record.expiring(SystemClock().now() + timedelta(days=1))


def _versions(vault: VaultUnderTest, name: KeyName) -> dict[str, bool]:
    """Return whether each version is destroyed."""
    kv = vault.server.client().secrets.kv.v2
    metadata = kv.read_secret_metadata(str(name), mount_point="keyturn-kv")["data"]
    return {number: about["destroyed"] for number, about in metadata["versions"].items()}


async def test_a_record_reads_back_as_it_was_written(vault: VaultUnderTest) -> None:
    name = new_name()
    written = await vault.given(name, new_plaintext())

    async with vault.session("keyvault-svc") as session:
        read = await KvKeyStore(KvDocuments(session)).read(name, tags_of(name))

    assert read == written
    assert written.revision == 1


async def test_what_is_not_there_reads_as_none(vault: VaultUnderTest) -> None:
    name = new_name()
    async with vault.session("keyvault-svc") as session:
        store = KvKeyStore(KvDocuments(session))

        assert await store.read(name, tags_of(name)) is None
        assert await store.list_ids(name.owner, "request-1") == []
        assert await store.delete(name, tags_of(name)) == 0


async def test_of_two_writers_the_second_is_refused(vault: VaultUnderTest) -> None:
    name = new_name()
    first = await vault.given(name, new_plaintext())
    async with vault.session("keyvault-svc") as session:
        store = KvKeyStore(KvDocuments(session))
        second = await store.write(_changed(first), tags_of(name))

        for stale in (replace(first, creator="bob"), replace(first, revision=0, creator="bob")):
            with pytest.raises(KeyChangedMeanwhileError):
                await store.write(stale, tags_of(name))
        assert await store.read(name, tags_of(name)) == second


async def test_superseded_versions_are_destroyed_and_the_newest_stays(
    vault: VaultUnderTest,
) -> None:
    name = new_name()
    record = await vault.given(name, new_plaintext())
    async with vault.session("keyvault-svc") as session:
        store = KvKeyStore(KvDocuments(session))
        record = await store.write(_changed(record), tags_of(name))
        await store.destroy_superseded(record, tags_of(name))
        await store.destroy_superseded(record, tags_of(name))

        assert _versions(vault, name) == {"1": True, "2": False}
        assert await store.read(name, tags_of(name)) == record


async def test_a_deleted_record_leaves_no_version_and_no_metadata(vault: VaultUnderTest) -> None:
    name = new_name()
    other = KeyName(name.owner, "other")
    record = await vault.given(name, new_plaintext())
    await vault.given(other, new_plaintext())
    async with vault.session("keyvault-svc") as session:
        store = KvKeyStore(KvDocuments(session))
        await store.write(_changed(record), tags_of(name))

        assert await store.list_ids(name.owner, "request-1") == ["openai", "other"]
        assert await store.delete(name, tags_of(name)) == 2
        assert await store.read(name, tags_of(name)) is None
        assert await store.list_ids(name.owner, "request-1") == ["other"]
    with pytest.raises(hvac.exceptions.InvalidPath):
        _versions(vault, name)


async def test_a_write_whose_answer_is_lost_is_found_to_be_done(vault: VaultUnderTest) -> None:
    name = new_name()
    record = await vault.given(name, new_plaintext())
    target = urlsplit(vault.server.address).port
    assert target is not None
    async with TcpRelay(target) as way:
        await way.open()
        async with vault.session("keyvault-svc", f"https://127.0.0.1:{way.port}") as session:
            store = KvKeyStore(KvDocuments(session))
            await store.read(name, tags_of(name))
            way.lose_next_answer()
            written = await store.write(_changed(record), tags_of(name))

            assert way.lost == 1
            assert written.revision == 2
            assert await store.read(name, tags_of(name)) == written
