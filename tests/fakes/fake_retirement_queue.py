"""The queue of retirements in a dict."""

from __future__ import annotations

import math
from datetime import datetime

from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeRetirementQueue:
    """`RetirementQueue` in memory.

    Attributes:
        entries: Which key each entry is about.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.entries: dict[str, KeyName] = {}

    def due_seconds(self, name: KeyName) -> list[int]:
        """Return when the entries of *name* are due, in Unix time, sorted."""
        return sorted(_seconds(i) for i, about in self.entries.items() if about == name)

    async def add(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Note that *name* holds something to destroy at *due_time*."""
        del tags
        async with self._line.request("add retirement"):
            self.entries[f"{math.ceil(due_time.timestamp()):012d}-{name}"] = name

    async def cancel(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Take back what was added with these."""
        del tags
        async with self._line.request("cancel retirement"):
            self.entries.pop(f"{math.ceil(due_time.timestamp()):012d}-{name}", None)

    async def due(self, now: datetime) -> list[str]:
        """Return the ids of the entries whose time has come, the oldest first."""
        async with self._line.request("list retirements"):
            return [i for i in sorted(self.entries) if _seconds(i) <= now.timestamp()]

    async def read(self, entry_id: str) -> KeyName | None:
        """Return which key an entry is about."""
        async with self._line.request("read retirement"):
            return self.entries.get(entry_id)

    async def remove(self, entry_id: str) -> None:
        """Remove an entry."""
        async with self._line.request("remove retirement"):
            self.entries.pop(entry_id, None)


def _seconds(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
