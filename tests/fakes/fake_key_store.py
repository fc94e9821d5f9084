"""Records in a dict, with the check-and-set and the versions of the real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.vault.errors import VaultUnavailableError


class FakeKeyStore:
    """`KeyStore` in memory.

    Attributes:
        reads: The tags of every read.
        writes: The tags of every write that was let through.
        versions: What is left of each key, by revision.
        before_write: Called once, before the next write: the place for another writer.
        is_failing_to_destroy: Whether Vault goes away between a write and the clean-up.
    """

    def __init__(self, *records: KeyRecord) -> None:
        self.versions: dict[KeyName, dict[int, KeyRecord]] = {
            record.name: {1: replace(record, revision=1)} for record in records
        }
        self.reads: list[AuditTags] = []
        self.writes: list[AuditTags] = []
        self.before_write: Callable[[], object] | None = None
        self.is_failing_to_destroy = False

    def current(self, name: KeyName) -> KeyRecord | None:
        """Return the newest version of *name*."""
        versions = self.versions.get(name)
        return versions[max(versions)] if versions else None

    def put(self, record: KeyRecord) -> KeyRecord:
        """Store *record* as the newest version, whatever is there."""
        current = self.current(record.name)
        stored = replace(record, revision=current.revision + 1 if current else 1)
        self.versions.setdefault(record.name, {})[stored.revision] = stored
        return stored

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return the newest version."""
        self.reads.append(tags)
        return self.current(name)

    async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
        """Store *record* if nobody wrote since it was read."""
        interloper, self.before_write = self.before_write, None
        if interloper is not None:
            interloper()
        current = self.current(record.name)
        if record.revision != (current.revision if current else 0):
            raise KeyChangedMeanwhileError
        self.writes.append(tags)
        return self.put(record)

    async def destroy_superseded(self, record: KeyRecord, tags: AuditTags) -> None:
        """Forget every version before the record's."""
        del tags
        if self.is_failing_to_destroy:
            raise VaultUnavailableError
        versions = self.versions[record.name]
        for revision in [r for r in versions if r < record.revision]:
            del versions[revision]

    async def delete(self, name: KeyName, tags: AuditTags) -> None:
        """Forget every version."""
        del tags
        self.versions.pop(name, None)

    async def list_ids(self, owner: OwnerName, request_id: str) -> list[str]:
        """Return the ids of the owner's keys, sorted."""
        del request_id
        return sorted(name.key_id for name in self.versions if name.owner == owner)
