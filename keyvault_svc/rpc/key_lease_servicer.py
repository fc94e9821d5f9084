"""Serves KeyLeaseService."""

from __future__ import annotations

import asyncio
from typing import Final

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceServicer
from keyvault_svc.domain.lease import Lease, LeaseRequest
from keyvault_svc.domain.leasing import KeyLeasing
from keyvault_svc.domain.names import GrantName
from keyvault_svc.lease_log import SettlementLog
from keyvault_svc.rpc.lease_messages import lease_message, lease_request, settlements
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.vault.errors import VaultUnavailableError

# What remains is for the answer's way back.
_SHARE_OF_DEADLINE: Final = 0.9


class KeyLeaseServicer(KeyLeaseServiceServicer):
    """KeyLeaseService over `KeyLeasing`."""

    def __init__(self, leasing: KeyLeasing, log: SettlementLog) -> None:
        self._leasing = leasing
        self._log = log

    async def AcquireLease(
        self, request: lease_pb.AcquireLeaseRequest, context: ServicerContext
    ) -> lease_pb.AcquireLeaseResponse:
        """Decide on one request, and lease the key."""
        wanted = lease_request(request)
        annotate(
            key=str(wanted.key), app=str(wanted.app), endpoint=wanted.endpoint, model=wanted.model
        )
        lease = await self._acquire(wanted, context.time_remaining() or 0.0)
        annotate(
            lease=lease.lease_id,
            grant=str(GrantName(lease.key, lease.grant_id)),
            key_version=lease.key_version,
        )
        return lease_pb.AcquireLeaseResponse(lease=lease_message(lease))

    async def _acquire(self, wanted: LeaseRequest, seconds_left: float) -> Lease:
        """Acquire a lease, and say that Vault is the problem before the gateway gives up."""
        try:
            async with asyncio.timeout(seconds_left * _SHARE_OF_DEADLINE):
                return await self._leasing.acquire(wanted)
        except TimeoutError:
            pass
        raise VaultUnavailableError

    async def SettleLease(
        self, request: lease_pb.SettleLeaseRequest, context: ServicerContext
    ) -> lease_pb.SettleLeaseResponse:
        """Record what became of leases."""
        del context
        counted, duplicate_count = await self._leasing.settle(
            settlements(request.settlements), current_call().request_id
        )
        for settlement in counted:
            self._log.write(settlement)
        return lease_pb.SettleLeaseResponse(
            settled_count=len(counted), duplicate_count=duplicate_count
        )
