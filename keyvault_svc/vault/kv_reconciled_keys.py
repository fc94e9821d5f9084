"""Which keys can be reconciled, on KV: one entry each, since the key service cannot list owners."""

from __future__ import annotations

import contextlib

from pydantic import BaseModel, ConfigDict, ValidationError

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import RECONCILED, reconciled_path, verification_id
from svc_runtime.service_error import InvalidFieldError


class _StoredEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str


class KvReconciledKeys:
    """`ReconciledKeys` on KV. An entry is written once, and named by the hash of the key's name."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def ids(self) -> list[str]:
        """Return the ids of all entries."""
        return await self._documents.names(RECONCILED, {})

    async def read(self, entry_id: str, tags: AuditTags) -> KeyName | None:
        """Return which key an entry is about.

        Raises:
            KeyRecordUnreadableError: What is stored is no entry.
        """
        stored = await self._documents.read(reconciled_path(entry_id), headers_for(tags))
        if stored is None:
            return None
        try:
            return KeyName.parse(_StoredEntry.model_validate_json(stored.text).key, "key")
        except (ValidationError, InvalidFieldError):
            pass
        raise KeyRecordUnreadableError

    async def add(self, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* can be reconciled."""
        path = reconciled_path(verification_id(name))
        text = _StoredEntry(key=str(name)).model_dump_json()
        with contextlib.suppress(KeyChangedMeanwhileError):  # it is noted already
            await self._documents.write(path, text, 0, headers_for(tags))

    async def remove(self, name: KeyName, tags: AuditTags) -> None:
        """Forget *name*."""
        await self._documents.drop(reconciled_path(verification_id(name)), headers_for(tags))
