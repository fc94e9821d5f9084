"""The queue of retirements on KV. An entry's id begins with its time, so that a list tells all."""

from __future__ import annotations

from datetime import datetime

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.paths import (
    RETIREMENTS,
    retirement_due_seconds,
    retirement_id,
    retirement_path,
)
from svc_runtime.service_error import InvalidFieldError


class KvRetirementQueue:
    """`RetirementQueue` on KV."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def add(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Note that *name* holds something to destroy at *due_time*."""
        path = retirement_path(retirement_id(name, due_time))
        try:
            await self._documents.write(path, str(name), 0, headers_for(tags))
        except KeyChangedMeanwhileError:
            return  # it is noted already

    async def cancel(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Take back what was added with these."""
        path = retirement_path(retirement_id(name, due_time))
        await self._documents.drop(path, headers_for(tags))

    async def due(self, now: datetime) -> list[str]:
        """Return the ids of the entries whose time has come, the oldest first."""
        ids = await self._documents.names(RETIREMENTS, {})
        return [i for i in ids if retirement_due_seconds(i) <= now.timestamp()]

    async def read(self, entry_id: str) -> KeyName | None:
        """Return which key an entry is about; None if it is gone."""
        stored = await self._documents.read(retirement_path(entry_id), {})
        if stored is None:
            return None
        try:
            return KeyName.parse(stored.text, "key")
        except InvalidFieldError:
            pass
        raise KeyRecordUnreadableError

    async def remove(self, entry_id: str) -> None:
        """Remove an entry."""
        await self._documents.drop(retirement_path(entry_id), {})
