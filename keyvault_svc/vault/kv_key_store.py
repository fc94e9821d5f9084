"""The store of records on Vault's KV v2 engine, check-and-set on every write."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from hvac.api.secrets_engines import KvV2

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import REQUEST_ID, headers_for
from keyvault_svc.vault.paths import KV_MOUNT, owner_path, record_path
from keyvault_svc.vault.record_format import from_stored, to_stored
from svc_runtime.vault.errors import VaultConflictError, VaultNotFoundError
from svc_runtime.vault.session import VaultSession


class KvKeyStore:
    """`KeyStore` on KV v2. Caches nothing: every read is a request to Vault."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return the record as stored now; see `KeyStore.read`."""
        try:
            answer = await self._session.call(
                lambda adapter: KvV2(adapter).read_secret_version(
                    record_path(name), mount_point=KV_MOUNT, raise_on_deleted_version=True
                ),
                headers_for(tags),
            )
        except VaultNotFoundError:
            return None
        try:
            data = cast("dict[str, object]", answer["data"])
            metadata = cast("dict[str, object]", data["metadata"])
            stored, revision = data["data"], cast("int", metadata["version"])
        except (KeyError, TypeError):
            pass
        else:
            return from_stored(name, stored, revision)
        raise KeyRecordUnreadableError

    async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
        """Store *record* by check-and-set; see `KeyStore.write`."""
        try:
            await self._session.call(
                lambda adapter: KvV2(adapter).create_or_update_secret(
                    record_path(record.name),
                    to_stored(record),
                    cas=record.revision,
                    mount_point=KV_MOUNT,
                ),
                headers_for(tags),
            )
        except VaultConflictError:
            pass
        else:
            return replace(record, revision=record.revision + 1)
        raise KeyChangedMeanwhileError

    async def destroy_superseded(self, record: KeyRecord, tags: AuditTags) -> None:
        """Destroy every version before the record's; see `KeyStore.destroy_superseded`."""
        headers = headers_for(tags)
        path = record_path(record.name)
        answer = await self._session.call(
            lambda adapter: KvV2(adapter).read_secret_metadata(path, mount_point=KV_MOUNT), headers
        )
        data = cast("dict[str, object]", answer["data"])
        versions = cast("dict[str, dict[str, object]]", data["versions"])
        superseded = sorted(
            int(version)
            for version, about in versions.items()
            if int(version) < record.revision and not about["destroyed"]
        )
        if not superseded:
            return
        await self._session.call(
            lambda adapter: KvV2(adapter).destroy_secret_versions(
                path, superseded, mount_point=KV_MOUNT
            ),
            headers,
        )

    async def delete(self, name: KeyName, tags: AuditTags) -> None:
        """Destroy every version and the metadata; see `KeyStore.delete`."""
        await self._session.call(
            lambda adapter: KvV2(adapter).delete_metadata_and_all_versions(
                record_path(name), mount_point=KV_MOUNT
            ),
            headers_for(tags),
        )

    async def list_ids(self, owner: OwnerName, request_id: str) -> list[str]:
        """Return the ids of the owner's keys, sorted."""
        try:
            answer = await self._session.call(
                lambda adapter: KvV2(adapter).list_secrets(owner_path(owner), mount_point=KV_MOUNT),
                {REQUEST_ID: request_id},
            )
        except VaultNotFoundError:
            return []
        data = cast("dict[str, object]", answer["data"])
        return sorted(cast("list[str]", data["keys"]))
