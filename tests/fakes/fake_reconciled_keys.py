"""The list of keys that can be reconciled, in a set."""

from __future__ import annotations

import hashlib

from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeReconciledKeys:
    """`ReconciledKeys` in memory.

    Attributes:
        names: Which keys are noted.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.names: set[KeyName] = set()

    async def ids(self) -> list[str]:
        """Return the ids of all entries."""
        async with self._line.request("list reconciled"):
            return [_id_of(name) for name in self.names]

    async def read(self, entry_id: str, tags: AuditTags) -> KeyName | None:
        """Return which key an entry is about."""
        del tags
        async with self._line.request("read reconciled"):
            return next((name for name in self.names if _id_of(name) == entry_id), None)

    async def add(self, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* can be reconciled."""
        del tags
        async with self._line.request("add reconciled"):
            self.names.add(name)

    async def remove(self, name: KeyName, tags: AuditTags) -> None:
        """Forget *name*."""
        del tags
        async with self._line.request("remove reconciled"):
            self.names.discard(name)


def _id_of(name: KeyName) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()
