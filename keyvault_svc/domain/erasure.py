"""Use cases of data protection: tell an owner what is held on them, and erase it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.deletion_proof import DeletionProof
from keyvault_svc.domain.errors import KeyNotFoundError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import KeyStore
from svc_runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class RetentionNotice:
    """What is kept outside of the live store.

    Attributes:
        place: One word for where.
        content: What of the owner it holds.
        retention: For how long, as the deployment declares it; None where it declares nothing.
        gone_time: When the last of it is gone; None where that is not known.
    """

    place: str
    content: str
    retention: timedelta | None
    gone_time: datetime | None


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """For how long the deployment keeps what Keyturn itself cannot erase; None: not declared."""

    vault_backups: timedelta | None = None
    vault_audit_log: timedelta | None = None
    service_logs: timedelta | None = None

    def notices(self, now: datetime) -> tuple[RetentionNotice, ...]:
        """Return what stays of an owner that was erased at *now*."""
        places = (
            (
                "vault_backups",
                (
                    "Snapshots made before the erasure hold the records and the sealed keys; "
                    "restoring one brings them back."
                ),
                self.vault_backups,
            ),
            (
                "vault_audit_log",
                "Requests for the owner's records: times, names of keys and apps, request ids.",
                self.vault_audit_log,
            ),
            (
                "service_logs",
                (
                    "Calls about and with the owner's keys: times, names of keys and apps, "
                    "endpoints, models, numbers of tokens."
                ),
                self.service_logs,
            ),
        )
        return tuple(
            RetentionNotice(place, content, kept, None if kept is None else now + kept)
            for place, content, kept in places
        )


class OwnerErasure:
    """Everything that is held on one owner."""

    def __init__(
        self, custody: KeyCustody, store: KeyStore, retention: RetentionPolicy, clock: Clock
    ) -> None:
        self._custody = custody
        self._store = store
        self._retention = retention
        self._clock = clock

    def notices(self) -> tuple[RetentionNotice, ...]:
        """Return what is kept elsewhere, from now on."""
        return self._retention.notices(self._clock.now())

    async def export(self, person: Person, owner: OwnerName, request_id: str) -> list[KeyRecord]:
        """Return every record of *owner*.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
        """
        return await self._custody.list_keys(person, owner, request_id)

    async def erase(
        self, person: Person, owner: OwnerName, request_id: str
    ) -> Sequence[DeletionProof]:
        """Destroy every key of *owner*; what broke off is finished by another call.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must_act_for(owner)
        proofs = []
        for key_id in await self._store.list_ids(owner, request_id):
            try:
                proofs.append(
                    await self._custody.delete(person, KeyName(owner, key_id), request_id)
                )
            except KeyNotFoundError:
                continue  # deleted by somebody else meanwhile
        return proofs
