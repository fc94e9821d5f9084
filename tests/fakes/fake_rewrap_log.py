"""The progress of the rewrap job in a variable, with the check-and-set of the real log."""

from __future__ import annotations

from dataclasses import replace

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.domain.rewrap_ports import RewrapProgress
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeRewrapLog:
    """`RewrapLog` in memory, and the `OwnerCatalogue` of *store*.

    Attributes:
        progress: What is stored; None for nothing.
        saves: All that was ever stored.
    """

    def __init__(self, line: FakeVaultLine, store: FakeKeyStore) -> None:
        self._line = line
        self._store = store
        self.progress: RewrapProgress | None = None
        self.saves: list[RewrapProgress] = []

    async def load(self) -> RewrapProgress | None:
        """Return what is stored."""
        async with self._line.request("load progress"):
            return self.progress

    async def save(self, progress: RewrapProgress) -> RewrapProgress:
        """Store *progress* if nobody did since it was loaded; what is stored already is done."""
        async with self._line.request("save progress"):
            saved = replace(progress, revision=progress.revision + 1)
            if saved != self.progress:
                if progress.revision != (self.progress.revision if self.progress else 0):
                    raise KeyChangedMeanwhileError
                self.progress = saved
                self.saves.append(saved)
            return saved

    async def clear(self) -> None:
        """Forget it."""
        async with self._line.request("clear progress"):
            self.progress = None

    async def owners(self) -> list[OwnerName]:
        """Return the owners of all records."""
        async with self._line.request("list owners"):
            return sorted({name.owner for name in self._store.versions}, key=str)
