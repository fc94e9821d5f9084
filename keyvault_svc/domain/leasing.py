"""Use cases of gateways: acquire a lease for one request, and settle leases."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from keyvault_svc.domain.errors import AppProofInvalidError, NotGrantedError
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.lease import (
    Lease,
    LeaseOutcome,
    LeaseRequest,
    LeaseSettlement,
    decide,
)
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AppProof, AuditTags, LeaseLedger
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.verifying import KeyVerifying
from svc_runtime.clock import Clock
from svc_runtime.service_error import CallerUnverifiedError, ServiceError


class KeyLeasing:
    """Leases of keys to gateways."""

    def __init__(
        self,
        records: Records,
        handoff: Handoff,
        ledger: LeaseLedger,
        verifying: KeyVerifying,
        app_proof: AppProof,
        clock: Clock,
    ) -> None:
        self._records = records
        self._handoff = handoff
        self._ledger = ledger
        self._verifying = verifying
        self._app_proof = app_proof
        self._clock = clock

    async def acquire(self, request: LeaseRequest) -> Lease:
        """Decide on *request* by one read of the record, and lease the key.

        1. Check the app's own proof, if it came along.
        2. Read the record once, under the new lease's id, so that Vault's audit log ties the read
           to the lease.
        3. Decide.
        4. Record the lease and hand it over.

        Raises:
            AppProofInvalidError: The app's token does not prove the app.
            ServiceError: Whatever `lease.decide` and the store raise.
        """
        await self._check_proof(request)  # (1)
        lease_id = secrets.token_hex(16)
        tags = AuditTags(request.request_id, str(request.key), lease_id, str(request.app))
        record = await self._records.find(request.key, tags)  # (2)
        if record is None:
            raise NotGrantedError
        grant = decide(record, request, self._clock.now())  # (3)
        lease = replace(
            await self._handoff.lease(record, record.current, tags, grant.grant_id),
            may_choose_account=grant.terms.may_choose_account,
        )
        self._ledger.open(lease, request)  # (4)
        return lease

    async def settle(
        self, settlements: Sequence[LeaseSettlement], request_id: str
    ) -> tuple[list[LeaseSettlement], int]:
        """Record what became of leases, and have keys verified that OpenAI refused.

        A refused call alone does not reject a key: OpenAI refuses calls for other reasons too,
        some of which the app decides.

        Returns:
            The settlements that counted, and how many were repetitions.
        """
        settled = [self._ledger.settle(settlement) for settlement in settlements]
        counted = [settlement for settlement in settled if settlement is not None]
        refused = {s.key for s in counted if s.outcome is LeaseOutcome.KEY_REJECTED}
        for key in sorted(refused):
            try:
                name = KeyName.parse(key, "settlements.key")
                await self._verifying.recheck(name, AuditTags(request_id, key))
            except ServiceError:
                continue  # the next call that OpenAI refuses asks again
        return counted, len(settlements) - len(counted)

    async def _check_proof(self, request: LeaseRequest) -> None:
        if request.app_token is None:
            return
        try:
            proven = await self._app_proof.app_of(request.app_token)
        except CallerUnverifiedError:
            proven = None
        if proven != request.app:
            raise AppProofInvalidError
