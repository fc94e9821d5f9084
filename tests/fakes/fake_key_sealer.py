"""A seal that anybody can look through, and that shows under which name it was made."""

from __future__ import annotations

import hashlib

from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.secret_bytes import SecretBytes
from tests.fakes.fake_vault_line import FakeVaultLine


class FakeKeySealer:
    """`KeySealer` without a secret of its own.

    Attributes:
        sealed_names: The names under which something was sealed, in order.
    """

    def __init__(self, line: FakeVaultLine | None = None) -> None:
        self._line = line or FakeVaultLine()
        self.sealed_names: list[KeyName] = []

    async def seal(self, name: KeyName, api_key: SecretBytes, tags: AuditTags) -> SealedKey:
        """Seal *api_key* under *name*; the same plaintext seals to another text each time."""
        fingerprint = await self.fingerprint(api_key, tags)
        async with self._line.request("seal"):
            self.sealed_names.append(name)
            return SealedKey(f"vault:v1:{name}:{len(self.sealed_names)}", fingerprint)

    async def fingerprint(self, api_key: SecretBytes, tags: AuditTags) -> str:
        """Return a hash of *api_key*."""
        del tags
        async with self._line.request("fingerprint"):
            return fingerprint_of(api_key)


def fingerprint_of(api_key: SecretBytes) -> str:
    """Return the fingerprint that the sealer gives *api_key*."""
    return hashlib.sha256(api_key.expose()).hexdigest()
