"""A seal that anybody can look through, and that shows under which name it was made."""

from __future__ import annotations

import hashlib

from keyvault_svc.domain.key_record import SealedKey
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from svc_runtime.secret_bytes import SecretBytes


class FakeKeySealer:
    """`KeySealer` without a secret of its own.

    Attributes:
        sealed_names: The names under which something was sealed, in order.
    """

    def __init__(self) -> None:
        self.sealed_names: list[KeyName] = []

    async def seal(self, name: KeyName, api_key: SecretBytes, tags: AuditTags) -> SealedKey:
        """Seal *api_key* under *name*."""
        self.sealed_names.append(name)
        return SealedKey(
            f"vault:v1:{name}:{len(self.sealed_names)}", await self.fingerprint(api_key, tags)
        )

    async def fingerprint(self, api_key: SecretBytes, tags: AuditTags) -> str:
        """Return a hash of *api_key*."""
        del tags
        return hashlib.sha256(api_key.expose()).hexdigest()
