"""Use cases of gateways: acquire a lease for one request, and settle leases."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from keyvault_svc.domain.errors import AppProofInvalidError, NotGrantedError
from keyvault_svc.domain.lease import Lease, LeaseRequest, LeaseSettlement, decide
from keyvault_svc.domain.ports import AppProof, AuditTags, KeyStore, LeaseLedger
from svc_runtime.clock import Clock
from svc_runtime.service_error import CallerUnverifiedError

DEFAULT_LEASE_SECONDS: Final = 10
MAX_LEASE_SECONDS: Final = 30  # design: the hard maximum; a lease only bridges two calls in a row


class KeyLeasing:
    """Leases of keys to gateways."""

    def __init__(
        self,
        store: KeyStore,
        ledger: LeaseLedger,
        app_proof: AppProof,
        clock: Clock,
        *,
        lease_seconds: int = DEFAULT_LEASE_SECONDS,
    ) -> None:
        """Lease keys for *lease_seconds*, 1 to `MAX_LEASE_SECONDS`."""
        if not 1 <= lease_seconds <= MAX_LEASE_SECONDS:
            raise ValueError(f"lease_seconds must be 1 to {MAX_LEASE_SECONDS}")
        self._store = store
        self._ledger = ledger
        self._app_proof = app_proof
        self._clock = clock
        self._lease_duration = timedelta(seconds=lease_seconds)

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
        record = await self._store.read(request.key, tags)  # (2)
        if record is None:
            raise NotGrantedError
        now = self._clock.now()
        grant = decide(record, request, now)  # (3)
        lease = Lease(
            lease_id,
            request.key,
            record.key_version,
            grant.grant_id,
            now + self._lease_duration,
            record.sealed.ciphertext,
        )
        self._ledger.open(lease, request)  # (4)
        return lease

    def settle(self, settlements: Sequence[LeaseSettlement]) -> tuple[list[LeaseSettlement], int]:
        """Record what became of leases.

        Returns:
            The settlements that counted, and how many were repetitions.
        """
        counted = [settlement for settlement in settlements if self._ledger.settle(settlement)]
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
