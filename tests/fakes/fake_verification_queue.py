"""The queue of verifications in a dict, with the check-and-set of the real one."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, QueuedVerification
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeVerificationQueue:
    """`VerificationQueue` in memory.

    Attributes:
        entries: What is queued.
        reads: The tags of every read.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.entries: dict[KeyName, QueuedVerification] = {}
        self.reads: list[AuditTags] = []

    def put(self, entry: QueuedVerification) -> None:
        """Store *entry* as the newest version, whatever is there."""
        there = self.entries.get(entry.key)
        self.entries[entry.key] = replace(entry, revision=there.revision + 1 if there else 1)

    async def ids(self) -> list[str]:
        """Return the ids of all entries."""
        async with self._line.request("list verifications"):
            return [str(name) for name in self.entries]

    async def read(self, entry_id: str, tags: AuditTags) -> QueuedVerification | None:
        """Return one entry."""
        return await self.find(KeyName.parse(entry_id, "entry_id"), tags)

    async def find(self, key: KeyName, tags: AuditTags) -> QueuedVerification | None:
        """Return the entry of *key*."""
        async with self._line.request("read verification"):
            self.reads.append(tags)
            return self.entries.get(key)

    async def write(self, entry: QueuedVerification, tags: AuditTags) -> None:
        """Store *entry* if nobody wrote since it was read."""
        del tags
        async with self._line.request("write verification"):
            there = self.entries.get(entry.key)
            if entry.revision != (there.revision if there else 0):
                raise KeyChangedMeanwhileError
            self.put(entry)

    async def remove(self, key: KeyName, tags: AuditTags) -> None:
        """Remove whatever entry of *key* there is."""
        del tags
        async with self._line.request("remove verification"):
            self.entries.pop(key, None)
