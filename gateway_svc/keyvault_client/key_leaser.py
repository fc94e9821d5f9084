"""`KeyLeaser` over the key service's KeyLeaseService."""

from __future__ import annotations

from typing import Final

import grpc
import structlog

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.ports import Lease, LeaseRequest, LeaseSettlement
from gateway_svc.keyvault_client.error_translation import to_service_error
from gateway_svc.keyvault_client.lease_message import lease_of
from gateway_svc.keyvault_client.settlement_queue import SettlementQueue
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from svc_runtime.grpc_channel import ReloadingChannel

_log = structlog.get_logger()

# A lease takes milliseconds. Waiting longer than this only holds the app's call up.
_MAX_ACQUIRE_SECONDS: Final = 10.0


class GrpcKeyLeaser:
    """The key service, over a channel that follows certificate changes."""

    def __init__(self, channel: ReloadingChannel, queue: SettlementQueue) -> None:
        self._channel = channel
        self._queue = queue

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request; see `KeyLeaser.acquire`."""
        message = lease_pb.AcquireLeaseRequest(
            key=str(request.key),
            app=str(request.app),
            app_token=request.app_token.expose() if request.app_token else b"",
            method=request.method,
            endpoint=request.endpoint,
            model=request.model,
            more_models=request.more_models,
            source_ip=request.source_ip,
            body_sha256=request.body_sha256,
            token_bound=request.token_bound,
        )
        stub = KeyLeaseServiceStub(self._channel.channel())
        try:
            response = await stub.AcquireLease(
                message,
                timeout=min(timeout_seconds, _MAX_ACQUIRE_SECONDS),
                metadata=(("x-keyturn-request-id", request.request_id),),
            )
        except grpc.aio.AioRpcError as error:
            failure = to_service_error(error)
            if isinstance(failure, KeyServiceUnavailableError):
                _log.warning(
                    "key_service_unavailable",
                    code=error.code().name,
                    request_id=request.request_id,
                )
        else:
            return lease_of(response.lease)
        finally:
            message.ClearField("app_token")
        raise failure

    def settle(self, settlement: LeaseSettlement) -> None:
        """Report what became of a lease, with the next batch."""
        self._queue.put(settlement)
