"""The list of keys that can be reconciled, which is all that the key service can list of owners."""

from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_reconciled_keys import KvReconciledKeys
from keyvault_svc.vault.paths import reconciled_path, verification_id
from tests.contract.vault_under_test import VaultUnderTest, new_name, tags_of


async def test_a_key_is_noted_once_until_it_is_forgotten(vault: VaultUnderTest) -> None:
    name = new_name()
    tags, entry_id = tags_of(name), verification_id(name)
    async with vault.session("keyvault-svc") as session:
        keys = KvReconciledKeys(KvDocuments(session))
        await keys.add(name, tags)
        await keys.add(name, tags)
        assert [entry for entry in await keys.ids() if entry == entry_id] == [entry_id]
        assert await keys.read(entry_id, tags) == name

        await keys.remove(name, tags)
        await keys.remove(name, tags)

        assert entry_id not in await keys.ids()
        assert await keys.read(entry_id, tags) is None


async def test_a_key_that_was_forgotten_can_be_noted_again(vault: VaultUnderTest) -> None:
    name = new_name()
    tags = tags_of(name)
    async with vault.session("keyvault-svc") as session:
        keys = KvReconciledKeys(KvDocuments(session))
        await keys.add(name, tags)
        await keys.remove(name, tags)
        await keys.add(name, tags)

        assert await keys.read(verification_id(name), tags) == name


@pytest.mark.parametrize("text", ["", "{}", '{"key": "alice"}', '{"key": 1}'])
async def test_an_entry_of_somebody_elses_making_is_refused(
    vault: VaultUnderTest, text: str
) -> None:
    name = new_name()
    tags, entry_id = tags_of(name), verification_id(name)
    async with vault.session("keyvault-svc") as session:
        documents = KvDocuments(session)
        await documents.write(reconciled_path(entry_id), text, 0, headers_for(tags))

        with pytest.raises(KeyRecordUnreadableError):
            await KvReconciledKeys(documents).read(entry_id, tags)
