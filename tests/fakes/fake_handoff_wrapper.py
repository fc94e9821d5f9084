"""Wrapping that only remembers what it was given."""

from __future__ import annotations

from keyvault_svc.domain.ports import AuditTags
from svc_runtime.secret_bytes import SecretBytes
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeHandoffWrapper:
    """`HandoffWrapper` in memory.

    Attributes:
        wrapped: Ciphertext, tags and seconds of every wrapping, in order.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.wrapped: list[tuple[str, AuditTags, int]] = []

    async def wrap(self, ciphertext: str, tags: AuditTags, lease_seconds: int) -> SecretBytes:
        """Return token number 1, 2, ..."""
        async with self._line.request("wrap"):
            self.wrapped.append((ciphertext, tags, lease_seconds))
            return SecretBytes(b"wrapping-token-%d" % len(self.wrapped))
