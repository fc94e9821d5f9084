"""How a lease carries the sealed key: inline, or wrapped by Vault."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import KeyVersion
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.ports import AuditTags, HandoffWrapper
from svc_runtime.clock import Clock

DEFAULT_LEASE_SECONDS: Final = 10
MAX_LEASE_SECONDS: Final = 30  # design: the hard maximum; a lease only bridges two calls in a row


class ReleaseLog(Protocol):
    """The audit stream, as far as it tells which keys were released."""

    async def record(self, lease: Lease, tags: AuditTags) -> None:
        """Write down that *lease* is about to be released, and return once that is written.

        Raises:
            AuditUnavailableError: It cannot be.
        """


class Handoff:
    """Makes leases."""

    def __init__(
        self,
        wrapper: HandoffWrapper,
        log: ReleaseLog,
        clock: Clock,
        *,
        lease_seconds: int = DEFAULT_LEASE_SECONDS,
        is_always_wrapped: bool = False,
    ) -> None:
        """Lease keys for *lease_seconds*, 1 to `MAX_LEASE_SECONDS`.

        Args:
            wrapper: Vault's response wrapping.
            log: Where it is written that a key is released, before it is.
            clock: Source of time.
            lease_seconds: How long a lease is good for.
            is_always_wrapped: Whether the deployment wraps the leases of all keys, and not only of
                those of high assurance.
        """
        if not 1 <= lease_seconds <= MAX_LEASE_SECONDS:
            raise ValueError(f"lease_seconds must be 1 to {MAX_LEASE_SECONDS}")
        self._wrapper = wrapper
        self._log = log
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._is_always_wrapped = is_always_wrapped

    async def lease(
        self, record: KeyRecord, version: KeyVersion, tags: AuditTags, grant_id: str = ""
    ) -> Lease:
        """Return the lease `tags.lease_id` of *version* of the key, under *grant_id*.

        Raises:
            AuditUnavailableError: It cannot be written down; nothing is to be released.
            VaultUnavailableError: Vault cannot wrap it.
            KeyRecordUnreadableError: The version has no plaintext.
        """
        if version.sealed is None:
            raise KeyRecordUnreadableError
        ciphertext, token = version.sealed.ciphertext, None
        # Before the wrapping: the lease must not outlive what Vault holds.
        expire_time = self._clock.now() + timedelta(seconds=self._lease_seconds)
        if self._is_always_wrapped or record.assurance is KeyAssurance.HIGH:
            token = await self._wrapper.wrap(ciphertext, tags, self._lease_seconds)
            ciphertext = ""
        lease = Lease(
            tags.lease_id,
            record.name,
            version.number,
            grant_id,
            expire_time,
            ciphertext,
            token,
            record.base_url,
        )
        await self._log.record(lease, tags)
        return lease
