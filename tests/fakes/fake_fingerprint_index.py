"""The index of fingerprints in a dict, with the check-and-set of the real one."""

from __future__ import annotations

from collections.abc import Callable

from keyvault_svc.domain.errors import KeyChangedMeanwhileError
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from tests.fakes.fake_vault_line import FakeVaultLine

Names = tuple[KeyName, ...]


class FakeFingerprintIndex:
    """`FingerprintIndex` in memory.

    Attributes:
        noted: The keys that are said to hold each fingerprint.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.noted: dict[str, Names] = {}

    async def holders(self, fingerprint: str, tags: AuditTags) -> Names:
        """Return the keys that are said to hold it."""
        del tags
        async with self._line.request("read fingerprint"):
            return self.noted.get(fingerprint, ())

    async def add(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it."""
        await self._change(fingerprint, tags, lambda said: said if name in said else (*said, name))

    async def remove(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it no longer."""
        await self._change(
            fingerprint, tags, lambda said: tuple(other for other in said if other != name)
        )

    async def _change(
        self, fingerprint: str, tags: AuditTags, change: Callable[[Names], Names]
    ) -> None:
        for _ in range(8):
            before = await self.holders(fingerprint, tags)
            after = change(before)
            if after == before:
                return
            async with self._line.request("write fingerprint"):
                if self.noted.get(fingerprint, ()) != before:
                    continue
                self.noted[fingerprint] = after
                if not after:
                    del self.noted[fingerprint]
            return
        raise KeyChangedMeanwhileError
