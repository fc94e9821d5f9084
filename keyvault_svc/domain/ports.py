"""What the rules need from the outside, as contracts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keyvault_svc.domain.key_record import KeyRecord, SealedKey
from keyvault_svc.domain.lease import Lease, LeaseRequest, LeaseSettlement
from keyvault_svc.domain.names import KeyName, OwnerName
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId


@dataclass(frozen=True, slots=True)
class AuditTags:
    """What Vault's audit log shall say beside an operation.

    Attributes:
        request_id: Request that the operation serves.
        key: Name of the key.
        lease_id: The lease; empty for operations of owners.
        app: The app's SPIFFE ID; empty for operations of owners.
    """

    request_id: str
    key: str
    lease_id: str = ""
    app: str = ""


class KeyStore(Protocol):
    """Keeps the records. Every method raises `VaultUnavailableError` when it cannot."""

    async def read(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return the record as stored now, by exactly one read; None if there is none.

        Raises:
            KeyRecordUnreadableError: What is stored is no record.
        """

    async def write(self, record: KeyRecord, tags: AuditTags) -> KeyRecord:
        """Store *record* if the stored revision is still `record.revision`.

        Returns:
            The record with its new revision.

        Raises:
            KeyChangedMeanwhileError: The revision is another; nothing was written.
        """

    async def destroy_superseded(self, record: KeyRecord, tags: AuditTags) -> None:
        """Destroy every stored version before `record.revision`. Idempotent."""

    async def delete(self, name: KeyName, tags: AuditTags) -> None:
        """Destroy every version and the record's metadata. Idempotent."""

    async def list_ids(self, owner: OwnerName, request_id: str) -> list[str]:
        """Return the ids of the owner's keys, sorted."""


class KeySealer(Protocol):
    """Seals plaintexts so that the key service cannot open them again."""

    async def seal(self, name: KeyName, api_key: SecretBytes, tags: AuditTags) -> SealedKey:
        """Seal *api_key* under *name*: it opens under no other name.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """

    async def fingerprint(self, api_key: SecretBytes, tags: AuditTags) -> str:
        """Return the keyed hash of *api_key*.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """


class LeaseLedger(Protocol):
    """Remembers leases until they are settled."""

    def open(self, lease: Lease, request: LeaseRequest) -> None:
        """Record that *lease* was given."""

    def settle(self, settlement: LeaseSettlement) -> bool:
        """Record what became of a lease.

        Returns:
            Whether it counted: False when the lease had been settled.
        """

    def expire(self, now: datetime) -> list[LeaseSettlement]:
        """Settle at their reservation the leases that nobody settled in time, and return them."""


class AppProof(Protocol):
    """Checks an app's own token."""

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the app that *app_token* proves.

        Raises:
            CallerUnverifiedError: It proves none.
            IssuerUnavailableError: Its issuer's keys cannot be had.
        """
