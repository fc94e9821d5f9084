"""The use case of gateways: acquire a lease for one request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from keyvault_svc.domain.anomalies.watch import RefusalWatch
from keyvault_svc.domain.ceilings import Ceilings
from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.controls_store import ControlsStore
from keyvault_svc.domain.errors import NotGrantedError
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.lease import Lease, LeaseRequest, Proofs, decide
from keyvault_svc.domain.lease_accounts import LeaseAccounts, Reserved
from keyvault_svc.domain.lease_id import new_lease_id
from keyvault_svc.domain.lease_proofs import LeaseProver
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.records import Records
from svc_runtime.clock import Clock
from svc_runtime.service_error import ServiceError


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """What the deployment decides about all leases.

    Attributes:
        ceilings: What no grant may go beyond.
        owner_limits: Limits of each owner for whom operators set no other.
        needs_app_proof: Whether every request needs the app's own token.
        admin_key: The key that asks OpenAI for usage, which serves no app; None for none.
    """

    ceilings: Ceilings = field(default_factory=Ceilings)
    owner_limits: Limits = field(default_factory=Limits)
    needs_app_proof: bool = False
    admin_key: KeyName | None = None


class KeyLeasing:
    """Leases of keys to gateways."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a lease touches
        self,
        records: Records,
        controls: ControlsStore,
        handoff: Handoff,
        accounts: LeaseAccounts,
        prover: LeaseProver,
        policy: LeasePolicy,
        clock: Clock,
        *,
        watch: RefusalWatch,
    ) -> None:
        self._records = records
        self._controls = controls
        self._handoff = handoff
        self._accounts = accounts
        self._prover = prover
        self._policy = policy
        self._clock = clock
        self._watch = watch
        self._releases: set[asyncio.Task[None]] = set()

    async def acquire(self, request: LeaseRequest) -> Lease:
        """Decide on *request* by one read of the record and one of the controls, and lease the key.

        1. Check what the app sent as proof, its own and the owner's.
        2. Read the record and the operators' controls, each once, under the new lease's id, so that
           Vault's audit log ties the reads to the lease.
        3. Decide.
        4. Reserve what the request can take, so that what is refused takes nothing.
        5. Hand the sealed key over, or give back what was reserved.

        Raises:
            AppProofInvalidError: The app's token does not prove the app.
            OwnerNotPresentError: The ID token that came along proves nobody.
            ServiceError: Whatever `lease.decide`, `LeaseAccounts.reserve` and the stores raise.
        """
        proofs = await self._prover.prove(request)  # (1)
        lease_id = new_lease_id(self._clock.now())
        record, grant, owner_limits = await self._granted(request, lease_id, proofs)  # (2), (3)
        member = proofs.person.name if proofs.person else ""
        try:
            reserved = await self._accounts.reserve(  # (4)
                lease_id, record, grant, owner_limits, request, member
            )
        except ServiceError as error:
            self._watch.refused(record, request.app, error)
            raise
        except asyncio.CancelledError:  # the store may have reserved nevertheless
            self._release_later(record, lease_id)
            raise
        try:
            lease = await self._lease(record, grant, _tags(request, lease_id), reserved)  # (5)
        except BaseException:  # a call that is given up included
            self._release_later(record, lease_id)
            raise
        self._accounts.open(lease, request, reserved)
        return lease

    async def check(self, request: LeaseRequest) -> None:
        """Decide anew on a *request* that is under way by a lease.

        Nothing is reserved or handed over, and what limits leave is not asked for; but a request
        that they cannot bound must not go on under them. The reads carry no lease's id: by Vault's
        audit log each lease has one read of the record.

        Raises:
            ServiceError: As `acquire`, but for what the store of limits says.
        """
        proofs = await self._prover.prove(request)
        record, grant, owner_limits = await self._granted(request, "", proofs)
        self._accounts.must_bound(record, grant, owner_limits, request)

    async def _granted(
        self, request: LeaseRequest, lease_id: str, proofs: Proofs
    ) -> tuple[KeyRecord, Grant, Limits]:
        """Return the record, the grant that allows *request*, and the owner's limits.

        Both reads carry *lease_id*, so that Vault's audit log ties them to it.
        """
        if request.key == self._policy.admin_key:
            raise NotGrantedError
        tags = _tags(request, lease_id)
        record, controls = await asyncio.gather(
            self._records.find(request.key, tags), self._controls.read(tags)
        )
        if record is None:
            raise NotGrantedError
        grant = self._decide(record, controls, request, proofs)
        return record, grant, controls.limits_of(record.name.owner, self._policy.owner_limits)

    def _decide(
        self, record: KeyRecord, controls: Controls, request: LeaseRequest, proofs: Proofs
    ) -> Grant:
        try:
            return decide(
                record,
                request,
                self._clock.now(),
                proofs=proofs,
                controls=controls,
                ceilings=self._policy.ceilings,
                needs_app_proof=self._policy.needs_app_proof,
            )
        except ServiceError as error:
            self._watch.refused(record, request.app, error)
            raise

    async def _lease(
        self, record: KeyRecord, grant: Grant, tags: AuditTags, reserved: Reserved
    ) -> Lease:
        return replace(
            await self._handoff.lease(record, record.current, tags, grant.grant_id),
            may_choose_account=grant.terms.may_choose_account,
            remaining=reserved.remaining,
        )

    def _release_later(self, record: KeyRecord, lease_id: str) -> None:
        task = asyncio.create_task(self._accounts.release(record.name.owner, lease_id))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


def _tags(request: LeaseRequest, lease_id: str) -> AuditTags:
    return AuditTags(request.request_id, str(request.key), lease_id, str(request.app))
