"""The queue of verifications on KV: durable, and shared by all replicas."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, QueuedVerification
from keyvault_svc.vault.audit_headers import headers_for
from keyvault_svc.vault.kv_documents import Document, KvDocuments
from keyvault_svc.vault.paths import VERIFICATIONS, verification_id, verification_path
from svc_runtime.service_error import InvalidFieldError


class _StoredEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    due_time: AwareDatetime
    attempt: Annotated[int, Field(ge=0)]
    is_recheck: bool
    lease_id: str
    number: Annotated[int, Field(ge=0)]
    claim_end_time: AwareDatetime | None


class KvVerificationQueue:
    """`VerificationQueue` on KV, one entry for each key, named by the hash of the key's name."""

    def __init__(self, documents: KvDocuments) -> None:
        self._documents = documents

    async def ids(self) -> list[str]:
        """Return the ids of all entries."""
        return await self._documents.names(VERIFICATIONS, {})

    async def read(self, entry_id: str, tags: AuditTags) -> QueuedVerification | None:
        """Return one entry; None if it is gone."""
        stored = await self._documents.read(verification_path(entry_id), headers_for(tags))
        return None if stored is None else _entry(stored)

    async def find(self, key: KeyName, tags: AuditTags) -> QueuedVerification | None:
        """Return the entry of *key*; None if there is none."""
        return await self.read(verification_id(key), tags)

    async def write(self, entry: QueuedVerification, tags: AuditTags) -> None:
        """Store *entry* by check-and-set."""
        stored = _StoredEntry(
            key=str(entry.key),
            due_time=entry.due_time,
            attempt=entry.attempt,
            is_recheck=entry.is_recheck,
            lease_id=entry.lease_id,
            number=entry.number,
            claim_end_time=entry.claim_end_time,
        )
        path = verification_path(verification_id(entry.key))
        await self._documents.write(
            path, stored.model_dump_json(), entry.revision, headers_for(tags)
        )

    async def remove(self, key: KeyName, tags: AuditTags) -> None:
        """Remove the entry of *key*."""
        await self._documents.drop(verification_path(verification_id(key)), headers_for(tags))


def _entry(stored: Document) -> QueuedVerification:
    try:
        fields = _StoredEntry.model_validate_json(stored.text)
        return QueuedVerification(
            KeyName.parse(fields.key, "key"),
            fields.due_time,
            fields.attempt,
            fields.is_recheck,
            fields.lease_id,
            fields.number,
            fields.claim_end_time,
            stored.revision,
        )
    except (ValidationError, InvalidFieldError):
        pass
    raise KeyRecordUnreadableError
