"""`ReconciliationDesk` over the key service's ReconciliationService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Final, TypeVar

import grpc
import structlog
from google.protobuf.message import Message

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.reconciliation import (
    AdminKeyMissingError,
    AdminLease,
    Comparison,
    Counted,
    KeyListing,
    OpenAIUsage,
    ReconciledKey,
    Verdict,
)
from gateway_svc.keyvault_client.error_translation import to_service_error
from gateway_svc.keyvault_client.lease_message import lease_of
from keyturn.keyvault.v1 import reconciliation_service_pb2 as reconciliation_pb
from keyturn.keyvault.v1.reconciliation_service_pb2_grpc import ReconciliationServiceStub
from svc_runtime.call_context import REQUEST_ID_KEY, new_request_id, request_id_from
from svc_runtime.error_details import reason_of
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.service_error import CallerNotAllowedError, InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

_log = structlog.get_logger()

_SECONDS: Final = 60.0  # of one page, whose keys' records are read one by one
_VERDICT: Final = {
    reconciliation_pb.RECONCILIATION_VERDICT_MATCHES: Verdict.MATCHES,
    reconciliation_pb.RECONCILIATION_VERDICT_USED_ELSEWHERE: Verdict.USED_ELSEWHERE,
    reconciliation_pb.RECONCILIATION_VERDICT_COUNTED_LESS: Verdict.COUNTED_LESS,
}
_Answer = TypeVar("_Answer")


class GrpcReconciliationDesk:
    """The key service, over a channel that follows certificate changes."""

    def __init__(self, channel: ReloadingChannel) -> None:
        self._channel = channel

    async def list_keys(self, day: date | None) -> KeyListing:
        """Return all keys that can be compared; see `ReconciliationDesk.list_keys`."""
        request = reconciliation_pb.ListReconciledKeysRequest(date=day.isoformat() if day else "")
        stub = ReconciliationServiceStub(self._channel.channel())
        pages = [await self._send(stub.ListReconciledKeys, request)]
        while pages[-1].next_page_token:
            request.date, request.page_token = pages[-1].date, pages[-1].next_page_token
            pages.append(await self._send(stub.ListReconciledKeys, request))
        keys = [key for page in pages for key in page.keys]
        uncovered = {name for page in pages for name in page.uncovered_keys}
        try:
            return KeyListing(
                date.fromisoformat(pages[0].date),
                tuple(ReconciledKey(KeyName.parse(key.key), key.openai_key_id) for key in keys),
                tuple(KeyName.parse(name) for name in sorted(uncovered)),
            )
        except (InvalidFieldError, ValueError):
            pass
        raise KeyServiceUnavailableError  # this is not a key service of ours

    async def lease_admin_key(self) -> AdminLease:
        """Return a lease of the admin key; see `ReconciliationDesk.lease_admin_key`."""
        stub = ReconciliationServiceStub(self._channel.channel())
        answer = await self._send(stub.LeaseAdminKey, reconciliation_pb.LeaseAdminKeyRequest())
        lease = lease_of(answer.lease)
        try:
            return AdminLease(
                request_id_from([answer.request_id]),
                KeyName.parse(answer.key),
                SpiffeId.parse(answer.app),
                lease,
            )
        except (InvalidFieldError, ValueError):
            pass
        _log.error("lease_malformed", lease=lease.lease_id)
        raise KeyServiceUnavailableError

    async def report(self, day: date, usages: Sequence[OpenAIUsage]) -> list[Comparison]:
        """Tell what OpenAI counted; see `ReconciliationDesk.report`."""
        request = reconciliation_pb.ReportReconciliationRequest(
            date=day.isoformat(),
            usages=[
                reconciliation_pb.OpenAIUsage(
                    openai_key_id=usage.openai_key_id,
                    keys=[str(name) for name in usage.keys],
                    openai_usage=reconciliation_pb.CountedUsage(
                        request_count=usage.counted.requests,
                        input_tokens=usage.counted.input_tokens,
                        output_tokens=usage.counted.output_tokens,
                    ),
                )
                for usage in usages
            ],
        )
        stub = ReconciliationServiceStub(self._channel.channel())
        answer = await self._send(stub.ReportReconciliation, request)
        return [_comparison(message) for message in answer.comparisons]

    async def recheck_admin_key(self) -> None:
        """Have the admin key verified; see `ReconciliationDesk.recheck_admin_key`."""
        stub = ReconciliationServiceStub(self._channel.channel())
        await self._send(stub.RecheckAdminKey, reconciliation_pb.RecheckAdminKeyRequest())

    async def _send(self, method: Callable[..., Awaitable[_Answer]], request: Message) -> _Answer:
        """Make one call, under a request id of its own: each lease has one in Vault's audit log."""
        metadata = ((REQUEST_ID_KEY, new_request_id()),)
        try:
            return await method(request, timeout=_SECONDS, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            failure = _failure_of(error)
        raise failure


def _failure_of(error: grpc.aio.AioRpcError) -> Exception:
    """Return what *error* means to the operator who has the job run."""
    match reason_of(error):
        case "KEY_NOT_FOUND":
            return AdminKeyMissingError()
        case CallerNotAllowedError.reason:
            return CallerNotAllowedError()
        case _:
            return to_service_error(error)


def _comparison(message: reconciliation_pb.Comparison) -> Comparison:
    try:
        return Comparison(
            message.openai_key_id,
            tuple(KeyName.parse(name) for name in message.keys),
            _counted(message.keyturn_usage),
            _counted(message.openai_usage),
            _VERDICT[message.verdict],
        )
    except (InvalidFieldError, KeyError):
        pass
    raise KeyServiceUnavailableError  # as above


def _counted(message: reconciliation_pb.CountedUsage) -> Counted:
    return Counted(message.request_count, message.input_tokens, message.output_tokens)
