"""Use cases of data protection: tell an owner what is held on them, and erase it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyvault_svc.domain.controls import Suspension
from keyvault_svc.domain.custody import KeyCustody
from keyvault_svc.domain.deletion_proof import DeletionProof
from keyvault_svc.domain.errors import KeyNotFoundError
from keyvault_svc.domain.grant_requests import GrantRequest
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limit_store import LimitStore
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, GrantRequestStore, KeyStore
from keyvault_svc.domain.retention import (
    RetentionNotice,
    RetentionPolicy,
    held_limits,
    kept_spent,
)
from keyvault_svc.domain.roles import Action
from svc_runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class OwnerExport:
    """Everything that is held on one owner, but for usage, which has a report of its own.

    Attributes:
        requests: What others asked of the owner, the oldest first.
        limits: Those that hold for the owner.
        suspensions: Of the owner and of their keys, the oldest first.
        notices: What is held elsewhere.
    """

    records: Sequence[KeyRecord]
    requests: Sequence[GrantRequest]
    limits: Limits
    suspensions: Sequence[Suspension]
    notices: Sequence[RetentionNotice]


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure did.

    Attributes:
        proofs: What was destroyed, key by key.
        forgotten_count: How many entries the store of limits removed: usage, networks, counts.
        ended_suspension_count: How many suspensions of the owner and their keys ended.
        has_ended_limits: Whether the owner had limits of their own, which ended.
        notices: What stays, and until when.
    """

    proofs: Sequence[DeletionProof]
    forgotten_count: int
    ended_suspension_count: int
    has_ended_limits: bool
    notices: Sequence[RetentionNotice]


class OwnerErasure:
    """Everything that is held on one owner."""

    def __init__(
        self,
        custody: KeyCustody,
        store: KeyStore,
        requests: GrantRequestStore,
        limits: LimitStore,
        operating: Operating,
        retention: RetentionPolicy,
        clock: Clock,
    ) -> None:
        self._custody = custody
        self._store = store
        self._requests = requests
        self._limits = limits
        self._operating = operating
        self._retention = retention
        self._clock = clock

    async def export(self, person: Person, owner: OwnerName, request_id: str) -> OwnerExport:
        """Return what is held on *owner*.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
        """
        person.must(Action.EXPORT_OWNER, owner)
        records = await self._custody.list_keys(person, owner, request_id)
        requests = await self._requests.read(owner, AuditTags(request_id, ""))
        controls = await self._operating.about(owner, request_id)
        now = self._clock.now()
        return OwnerExport(
            records,
            requests.at(now).requests,
            controls.limits_of(owner, self._operating.default_limits),
            tuple(controls.suspensions.values()),
            (*self._retention.notices(now), held_limits(now)),
        )

    async def erase(self, person: Person, owner: OwnerName, request_id: str) -> ErasureReport:
        """Destroy every key of *owner*, and forget whatever else is held on them.

        What operators decided about an owner, and what was taken of the limits that they set, stays
        unless an operator erases: else a suspension and a budget would end by an owner's own hand.

        What broke off is finished by another call.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyChangedMeanwhileError: Other writers did not let this one through.
            LimitStoreUnavailableError: The store of limits cannot answer; the keys are destroyed.
        """
        person.must(Action.ERASE_OWNER, owner)
        await self._requests.remove(owner, AuditTags(request_id, ""))
        proofs = []
        for key_id in await self._store.list_ids(owner, request_id):
            try:
                proofs.append(await self._custody.destroy(KeyName(owner, key_id), request_id))
            except KeyNotFoundError:
                continue  # deleted by somebody else meanwhile
        if person.may(Action.RESUME, owner) and person.may(Action.SET_OWNER_LIMITS, owner):
            return await self._by_operator(person, owner, request_id, proofs)
        return await self._by_owner(owner, request_id, proofs)

    async def _by_operator(
        self, person: Person, owner: OwnerName, request_id: str, proofs: Sequence[DeletionProof]
    ) -> ErasureReport:
        gone = await self._operating.forget(person, owner, request_id)
        forgotten = await self._limits.forget(owner)
        notices = self._retention.notices(self._clock.now())
        has_ended_limits = bool(gone.owner_limits)
        return ErasureReport(proofs, forgotten, len(gone.suspensions), has_ended_limits, notices)

    async def _by_owner(
        self, owner: OwnerName, request_id: str, proofs: Sequence[DeletionProof]
    ) -> ErasureReport:
        controls = await self._operating.about(owner, request_id)
        forgotten = await self._limits.forget(owner, keeps_spent=True)
        now = self._clock.now()
        notices = list(self._retention.notices(now))
        if controls.limits_of(owner, self._operating.default_limits) != Limits():
            notices.append(kept_spent(now))
        return ErasureReport(proofs, forgotten, 0, has_ended_limits=False, notices=notices)
