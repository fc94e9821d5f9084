"""The store of records on Vault's KV v2 engine, check-and-set on every write."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import REQUEST_ID, headers_for
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import owner_path, record_path
from keyvault_svc.vault.record_format import from_stored, to_stored


class KvKeyStore:
    """`KeyStore` on KV v2. Caches nothing: every read is a request to Vault."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return the record as stored now; see `KeyStore.read`."""
        stored = await self._documents.read(record_path(name), headers_for(tags))
        return None if stored is None else from_stored(name, stored.text, stored.revision)

    async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
        """Store *record* by check-and-set; see `KeyStore.write`."""
        revision = await self._documents.write(
            record_path(record.name), to_stored(record), record.revision, headers_for(tags)
        )
        return replace(record, revision=revision)

    async def destroy_superseded(self, record: KeyRecord, tags: AuditTags) -> None:
        """Destroy every version before the record's; see `KeyStore.destroy_superseded`."""
        await self._documents.destroy_before(
            record_path(record.name), record.revision, headers_for(tags)
        )

    async def delete(self, name: KeyName, tags: AuditTags) -> int:
        """Destroy every version and the metadata; see `KeyStore.delete`."""
        return await self._documents.delete(record_path(name), headers_for(tags))

    async def list_ids(self, owner: OwnerName, request_id: str) -> list[str]:
        """Return the ids of the owner's keys, sorted."""
        return await self._documents.names(owner_path(owner), {REQUEST_ID: request_id})
