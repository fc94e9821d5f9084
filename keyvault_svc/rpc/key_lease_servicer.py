"""Serves KeyLeaseService."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Final, TypeVar

from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceServicer
from keyvault_svc.domain.lease_settling import LeaseSettling
from keyvault_svc.domain.leasing import KeyLeasing
from keyvault_svc.domain.names import GrantName
from keyvault_svc.rpc.lease_messages import (
    lease_id_of,
    lease_message,
    lease_request,
    settlements,
)
from svc_runtime.authentication import ServicerContext
from svc_runtime.call_context import annotate, current_call
from svc_runtime.vault.errors import VaultUnavailableError

# What remains is for the answer's way back.
_SHARE_OF_DEADLINE: Final = 0.9
# Some were of leases that had been settled, or were given for something else.
_NOT_ALL_COUNTED: Final = "not_all_counted"
_T = TypeVar("_T")


class KeyLeaseServicer(KeyLeaseServiceServicer):
    """KeyLeaseService over `KeyLeasing` and `LeaseSettling`."""

    def __init__(self, leasing: KeyLeasing, settling: LeaseSettling) -> None:
        self._leasing = leasing
        self._settling = settling

    async def AcquireLease(
        self, request: lease_pb.AcquireLeaseRequest, context: ServicerContext
    ) -> lease_pb.AcquireLeaseResponse:
        """Decide on one request, and lease the key."""
        wanted = lease_request(request)
        annotate(
            key=str(wanted.key), app=str(wanted.app), endpoint=wanted.endpoint, model=wanted.model
        )
        lease = await _in_time(self._leasing.acquire(wanted), context)
        annotate(
            lease=lease.lease_id,
            grant=str(GrantName(lease.key, lease.grant_id)),
            key_version=lease.key_version,
        )
        return lease_pb.AcquireLeaseResponse(lease=lease_message(lease))

    async def CheckLease(
        self, request: lease_pb.CheckLeaseRequest, context: ServicerContext
    ) -> lease_pb.CheckLeaseResponse:
        """Decide anew on one request under way."""
        lease_id = lease_id_of("lease_id", request.lease_id)
        wanted = lease_request(request.request)
        annotate(
            key=str(wanted.key),
            app=str(wanted.app),
            endpoint=wanted.endpoint,
            model=wanted.model,
            lease=lease_id,
        )
        await _in_time(self._leasing.check(wanted), context)
        return lease_pb.CheckLeaseResponse()

    async def SettleLease(
        self, request: lease_pb.SettleLeaseRequest, context: ServicerContext
    ) -> lease_pb.SettleLeaseResponse:
        """Record what became of leases."""
        del context
        reported = settlements(request.settlements)
        count = await self._settling.settle(reported, current_call().request_id)
        annotate(count=count)
        if count < len(reported):
            annotate(detail=_NOT_ALL_COUNTED)
        return lease_pb.SettleLeaseResponse(
            settled_count=count, duplicate_count=len(reported) - count
        )


async def _in_time(decision: Coroutine[None, None, _T], context: ServicerContext) -> _T:
    """Await a decision, and say that Vault is the problem before the gateway gives up."""
    try:
        async with asyncio.timeout((context.time_remaining() or 0.0) * _SHARE_OF_DEADLINE):
            return await decision
    except TimeoutError:
        pass
    raise VaultUnavailableError
