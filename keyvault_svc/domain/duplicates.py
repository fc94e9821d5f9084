"""Finds a plaintext that is in custody already, without knowing it."""

from __future__ import annotations

from keyvault_svc.domain.errors import KeyDuplicateError
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, FingerprintIndex, KeyStore, SecurityLog


class Duplicates:
    """Which keys hold the same plaintext.

    Two intakes of one plaintext at the very same time may miss each other; the next rotation or
    intake of it finds them.
    """

    def __init__(
        self,
        index: FingerprintIndex,
        store: KeyStore,
        security_log: SecurityLog,
        policy: KeyPolicy,
    ) -> None:
        self._index = index
        self._store = store
        self._security_log = security_log
        self._policy = policy

    async def register(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* is about to hold the plaintext of *fingerprint*.

        Security is told when another owner's key holds it. The caller is not: whether somebody
        else has a key is none of their business.

        Raises:
            KeyDuplicateError: Another key of the same owner holds it, or another owner's and the
                policy refuses that.
        """
        said = await self._index.holders(fingerprint, tags)
        others = [
            other for other in said if other != name and await self._holds(other, fingerprint, tags)
        ]
        is_own = any(other.owner == name.owner for other in others)
        if is_own or (others and self._policy.are_shared_keys_refused):
            raise KeyDuplicateError
        if others:
            self._security_log.key_shared(name, others)
        if name not in said:
            await self._index.add(fingerprint, name, tags)

    async def release(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds the plaintext no longer, unless it does."""
        if not await self._holds(name, fingerprint, tags):
            await self._index.remove(fingerprint, name, tags)

    async def _holds(self, name: KeyName, fingerprint: str, tags: AuditTags) -> bool:
        record = await self._store.read(name, tags)
        return record is not None and fingerprint in record.fingerprints
