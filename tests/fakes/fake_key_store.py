"""Records in a dict, with the check-and-set, the versions and the requests of the real store."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeKeyStore:
    """`KeyStore` in memory.

    Attributes:
        line: The line to Vault; its requests end in `record`, `records`, `versions`.
        reads: The tags of every read.
        writes: The tags of every write that was let through.
        versions: What is left of each key, by revision; the metadata of a key that is in it is
            there, even if no version is left.
    """

    def __init__(self, *records: KeyRecord, line: FakeVaultLine | None = None) -> None:
        self.line = line or FakeVaultLine()
        self.versions: dict[KeyName, dict[int, KeyRecord]] = {}
        self.reads: list[AuditTags] = []
        self.writes: list[AuditTags] = []
        self._newest: dict[KeyName, int] = {}
        for record in records:
            self.put(record)

    def current(self, name: KeyName) -> KeyRecord | None:
        """Return the newest version of *name*."""
        return self.versions.get(name, {}).get(self._newest.get(name, 0))

    def put(self, record: KeyRecord) -> KeyRecord:
        """Store *record* as the newest version, whatever is there."""
        revision = self._newest.get(record.name, 0) + 1
        stored = replace(record, revision=revision)
        self.versions.setdefault(record.name, {})[revision] = stored
        self._newest[record.name] = revision
        return stored

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return the newest version."""
        async with self.line.request("read record"):
            self.reads.append(tags)
            return self.current(name)

    async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
        """Store *record* if nobody wrote since it was read."""
        async with self.line.request("write record"):
            if record.revision != self._newest.get(record.name, 0):
                raise KeyChangedMeanwhileError
            self.writes.append(tags)
            return self.put(record)

    async def destroy_superseded(self, record: KeyRecord, tags: AuditTags) -> None:
        """Destroy every version before the record's."""
        del tags
        async with self.line.request("list versions"):
            there = list(self.versions.get(record.name, {}))
        before = [revision for revision in there if revision < record.revision]
        if before:
            async with self.line.request("destroy versions"):
                self._destroy(record.name, before)

    async def delete(self, name: KeyName, tags: AuditTags) -> int:
        """Destroy every version but the newest, then what is left, and see that it is gone."""
        del tags
        async with self.line.request("list versions"):
            newest = self._newest.get(name, 0)
            before = [revision for revision in self.versions.get(name, {}) if revision < newest]
        if not newest:
            return 0
        if before:
            async with self.line.request("destroy versions"):
                self._destroy(name, before)
        async with self.line.request("list versions"):
            if name in self._newest and set(self.versions[name]) - {newest}:
                raise KeyChangedMeanwhileError
        async with self.line.request("drop record"):
            self.versions.pop(name, None)
            self._newest.pop(name, None)
        async with self.line.request("list versions"):
            if name in self._newest:
                raise KeyChangedMeanwhileError
        return newest

    async def list_ids(self, owner: OwnerName, request_id: str) -> list[str]:
        """Return the ids of the owner's keys, sorted."""
        del request_id
        async with self.line.request("list records"):
            return sorted(name.key_id for name in self._newest if name.owner == owner)

    def _destroy(self, name: KeyName, revisions: list[int]) -> None:
        for revision in revisions:
            self.versions.get(name, {}).pop(revision, None)
