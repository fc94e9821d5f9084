"""`KeyLeaser` over the key service's KeyLeaseService."""

from __future__ import annotations

from typing import Final

import grpc
import structlog

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.lease_ports import Lease, LeaseRequest, LeaseSettlement
from gateway_svc.keyvault_client.error_translation import to_service_error
from gateway_svc.keyvault_client.lease_message import lease_of
from gateway_svc.keyvault_client.settlement_queue import SettlementQueue
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.service_error import ServiceError

_log = structlog.get_logger()

# A decision takes milliseconds. Waiting longer than this only holds the app's call up.
_MAX_DECISION_SECONDS: Final = 10.0


class GrpcKeyLeaser:
    """The key service, over a channel that follows certificate changes."""

    def __init__(self, channel: ReloadingChannel, queue: SettlementQueue) -> None:
        self._channel = channel
        self._queue = queue

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request; see `KeyLeaser.acquire`."""
        message = lease_pb.AcquireLeaseRequest()
        _fill(message, request)
        stub = KeyLeaseServiceStub(self._channel.channel())
        try:
            response = await stub.AcquireLease(
                message,
                timeout=min(timeout_seconds, _MAX_DECISION_SECONDS),
                metadata=_metadata(request),
            )
        except grpc.aio.AioRpcError as error:
            failure = _failure(error, request)
        else:
            return lease_of(response.lease)
        finally:
            _clear_tokens(message)
        raise failure

    async def check(self, lease_id: str, request: LeaseRequest, timeout_seconds: float) -> None:
        """Return if a request under way may go on; see `KeyLeaser.check`."""
        message = lease_pb.CheckLeaseRequest(lease_id=lease_id)
        _fill(message.request, request)
        stub = KeyLeaseServiceStub(self._channel.channel())
        try:
            await stub.CheckLease(
                message,
                timeout=min(timeout_seconds, _MAX_DECISION_SECONDS),
                metadata=_metadata(request),
            )
        except grpc.aio.AioRpcError as error:
            failure = _failure(error, request)
        else:
            return
        finally:
            _clear_tokens(message.request)
        raise failure

    def settle(self, settlement: LeaseSettlement) -> None:
        """Report what became of a lease, with the next batch."""
        self._queue.put(settlement)


def _fill(message: lease_pb.AcquireLeaseRequest, request: LeaseRequest) -> None:
    """Write *request* into *message*, where it stands: a copy would hold the tokens once more."""
    message.key = str(request.key)
    message.app = str(request.app)
    message.app_token = request.app_token.expose() if request.app_token else b""
    message.method = request.method
    message.endpoint = request.endpoint
    message.model = request.model
    message.more_models.extend(request.more_models)
    message.source_ip = request.source_ip
    message.body_sha256 = request.body_sha256
    message.input_token_bound = request.input_token_bound
    message.output_token_bound = request.output_token_bound
    message.owner_token = request.owner_token.expose() if request.owner_token else b""
    message.answer_count = request.answer_count
    message.runs_tools = request.runs_tools


def _clear_tokens(message: lease_pb.AcquireLeaseRequest) -> None:
    message.ClearField("app_token")
    message.ClearField("owner_token")


def _metadata(request: LeaseRequest) -> tuple[tuple[str, str], ...]:
    return (("x-keyturn-request-id", request.request_id),)


def _failure(error: grpc.aio.AioRpcError, request: LeaseRequest) -> ServiceError:
    failure = to_service_error(error)
    if isinstance(failure, KeyServiceUnavailableError):
        _log.warning(
            "key_service_unavailable", code=error.code().name, request_id=request.request_id
        )
    return failure
