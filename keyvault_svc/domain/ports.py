"""What the rules need from the outside, as contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from keyvault_svc.domain.grant_requests import GrantRequests
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.lease import Lease, LeaseRequest
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.settlement import LeaseSettlement
from keyvault_svc.domain.usage import Usage
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

    async def delete(self, name: KeyName, tags: AuditTags) -> int:
        """Destroy every version and the record's metadata, and see that they are gone.

        Idempotent.

        Returns:
            How many versions the store reported as destroyed.
        """

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


class FingerprintIndex(Protocol):
    """Which keys hold a plaintext, by its fingerprint.

    An entry may name a key that holds it no longer: whoever meets one looks the key up.
    """

    async def holders(self, fingerprint: str, tags: AuditTags) -> tuple[KeyName, ...]:
        """Return the keys that are said to hold it.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """

    async def add(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it. Idempotent.

        Raises:
            VaultUnavailableError: Vault cannot answer.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """

    async def remove(self, fingerprint: str, name: KeyName, tags: AuditTags) -> None:
        """Note that *name* holds it no longer, and destroy what said so. Idempotent.

        Raises:
            VaultUnavailableError: Vault cannot answer.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """


@dataclass(frozen=True, slots=True)
class QueuedVerification:
    """A key that waits to be tried at OpenAI.

    Attributes:
        due_time: Not before.
        attempt: How often OpenAI could not be reached.
        is_recheck: Whether a call that OpenAI refused is the cause, rather than the owner.
        lease_id: The lease of the claim under way; empty for none.
        number: Version that the claim is about; 0 for no claim.
        claim_end_time: Until when the claim holds.
        revision: Version of the stored entry, for check-and-set.
    """

    key: KeyName
    due_time: datetime
    attempt: int = 0
    is_recheck: bool = False
    lease_id: str = ""
    number: int = 0
    claim_end_time: datetime | None = None
    revision: int = 0

    def is_due(self, now: datetime) -> bool:
        """Return whether it may be claimed."""
        is_free = self.claim_end_time is None or self.claim_end_time <= now
        return is_free and self.due_time <= now

    def claimed(self, lease_id: str, number: int, until: datetime) -> QueuedVerification:
        """Return the entry, claimed under *lease_id* to try version *number*."""
        return replace(self, lease_id=lease_id, number=number, claim_end_time=until)

    def again(self, due_time: datetime, attempt: int = 0) -> QueuedVerification:
        """Return the entry, to be claimed once more."""
        return QueuedVerification(self.key, due_time, attempt, revision=self.revision)


class VerificationQueue(Protocol):
    """The verifications to do, shared by all replicas: at most one entry for each key.

    Every method raises `VaultUnavailableError` when Vault cannot answer.
    """

    async def ids(self) -> list[str]:
        """Return the ids of all entries, in no order."""

    async def read(self, entry_id: str, tags: AuditTags) -> QueuedVerification | None:
        """Return one entry; None if it is gone."""

    async def find(self, key: KeyName, tags: AuditTags) -> QueuedVerification | None:
        """Return the entry of *key*; None if there is none."""

    async def write(self, entry: QueuedVerification, tags: AuditTags) -> None:
        """Store *entry* if the stored revision is still its own.

        Raises:
            KeyChangedMeanwhileError: It is not; nothing was written.
        """

    async def remove(self, key: KeyName, tags: AuditTags) -> None:
        """Remove the entry of *key*. Idempotent."""


class RetirementQueue(Protocol):
    """What is to be destroyed, and when; shared by all replicas.

    Every method raises `VaultUnavailableError` when Vault cannot answer.
    """

    async def add(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Note that *name* holds something to destroy at *due_time*, to the second. Idempotent."""

    async def cancel(self, name: KeyName, due_time: datetime, tags: AuditTags) -> None:
        """Take back what was added with these. Idempotent."""

    async def due(self, now: datetime) -> Sequence[str]:
        """Return the ids of the entries whose time has come, the oldest first."""

    async def read(self, entry_id: str) -> KeyName | None:
        """Return which key an entry is about; None if it is gone."""

    async def remove(self, entry_id: str) -> None:
        """Remove an entry. Idempotent."""


class GrantRequestStore(Protocol):
    """Keeps the requests for grants, by owner, whether or not the owner has keys.

    Every method raises `VaultUnavailableError` when Vault cannot answer.
    """

    async def read(self, owner: OwnerName, tags: AuditTags) -> GrantRequests:
        """Return the requests to *owner* as stored now; none while nothing is stored.

        Raises:
            KeyRecordUnreadableError: What is stored are no requests.
        """

    async def write(self, requests: GrantRequests, tags: AuditTags) -> None:
        """Store *requests* if the stored revision is still their own.

        Raises:
            KeyChangedMeanwhileError: It is not; nothing was written.
        """

    async def remove(self, owner: OwnerName, tags: AuditTags) -> None:
        """Destroy all requests to *owner*, and every stored version of them. Idempotent."""


class HandoffWrapper(Protocol):
    """Has Vault itself hold a sealed key, for one taker."""

    async def wrap(self, ciphertext: str, tags: AuditTags, lease_seconds: int) -> SecretBytes:
        """Return a token that can be exchanged for *ciphertext*, once, within *lease_seconds*.

        Raises:
            VaultUnavailableError: Vault cannot answer.
        """


class SecurityLog(Protocol):
    """Tells security of what it should look at."""

    def key_shared(self, name: KeyName, others: Sequence[KeyName]) -> None:
        """Tell that *name* holds the same plaintext as *others*, of other owners."""


class LeaseLedger(Protocol):
    """Remembers leases until they are settled."""

    def open(self, lease: Lease, request: LeaseRequest, bound: Usage) -> None:
        """Record that *lease* was given, for a request that takes *bound* at most."""

    def settle(self, settlement: LeaseSettlement) -> LeaseSettlement | None:
        """Record what became of a lease.

        Returns:
            The settlement, completed by what the lease was given for; None when it does not count,
            because the lease had been settled, or was given by another grant or to another app.
        """

    def due(self, now: datetime) -> list[LeaseSettlement]:
        """Return the leases that nobody settled in time, at what they were given for."""


class SettlementLog(Protocol):
    """Writes down how leases ended."""

    def write(self, settlement: LeaseSettlement) -> None:
        """Write *settlement* down."""


class OwnerProof(Protocol):
    """Checks the ID token of somebody who acts for an owner."""

    async def person_of(self, owner_token: SecretBytes) -> Person:
        """Return the person that *owner_token* proves.

        Raises:
            CallerUnverifiedError: It proves nobody.
            IssuerUnavailableError: Its issuer's keys cannot be had.
        """


class AppProof(Protocol):
    """Checks an app's own token."""

    async def app_of(self, app_token: SecretBytes) -> SpiffeId:
        """Return the app that *app_token* proves.

        Raises:
            CallerUnverifiedError: It proves none.
            IssuerUnavailableError: Its issuer's keys cannot be had.
        """
