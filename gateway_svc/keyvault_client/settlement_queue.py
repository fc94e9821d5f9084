"""Settlements on their way to the key service: in batches, off the path of requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

import grpc
import structlog

from gateway_svc.domain.lease_ports import LeaseOutcome, LeaseSettlement
from gateway_svc.domain.usage import Usage, UsageSource
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import KeyLeaseServiceStub
from svc_runtime.call_context import REQUEST_ID_KEY, bind_request_id
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.telemetry.spans import Cause, cause, work_span

_log = structlog.get_logger()

_BATCH: Final = 500  # of at most 1,000 that the contract allows
_PAUSE_SECONDS: Final = 0.2  # lets a batch gather
_RETRY_SECONDS: Final = 1.0
_SEND_SECONDS: Final = 5.0
# At the end of the process, which is waited for only so long.
_CLOSE_SECONDS: Final = 6.0
_CLOSE_RETRY_SECONDS: Final = 0.25
# A key service that is away for minutes under load. What does not fit is settled by the key
# service itself, at its reservation.
_MAX_WAITING: Final = 100_000

_MAX_ID: Final = 256  # characters of OpenAI's id that the contract takes; it is for reading only
_REFUSALS: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED})

_OUTCOME: Final = {
    LeaseOutcome.SERVED: lease_pb.LEASE_OUTCOME_SERVED,
    LeaseOutcome.KEY_REJECTED: lease_pb.LEASE_OUTCOME_KEY_REJECTED,
    LeaseOutcome.UPSTREAM_FAILED: lease_pb.LEASE_OUTCOME_UPSTREAM_FAILED,
    LeaseOutcome.CANCELLED: lease_pb.LEASE_OUTCOME_CANCELLED,
    LeaseOutcome.UNUSED: lease_pb.LEASE_OUTCOME_UNUSED,
}
_SOURCE: Final = {
    UsageSource.NONE: lease_pb.USAGE_SOURCE_UNSPECIFIED,
    UsageSource.REPORTED: lease_pb.USAGE_SOURCE_REPORTED,
    UsageSource.SEEN: lease_pb.USAGE_SOURCE_SEEN,
}
_MAX_UINT32: Final = 2**32 - 1


class SettlementQueue:
    """Sends settlements, repeats a batch that did not arrive, and loses the oldest when full.

    Repeating is safe: a settlement counts once by its lease id.
    """

    def __init__(self, channel: ReloadingChannel) -> None:
        self._channel = channel
        self._waiting: deque[LeaseSettlement] = deque()
        self._causes: dict[str, Cause] = {}  # by lease id, of those whose call is traced
        self._lost_count = 0
        self._batch = _BATCH
        self._is_wanted = asyncio.Event()
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, settlement: LeaseSettlement) -> None:
        """Take *settlement* along with the next batch."""
        if len(self._waiting) >= _MAX_WAITING:
            self._causes.pop(self._waiting.popleft().lease_id, None)
            self._lost_count += 1
        self._waiting.append(settlement)
        call = cause()
        if call is not None:
            self._causes[settlement.lease_id] = call
        self._is_wanted.set()

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._send_for_ever())

    async def close(self) -> None:
        """Stop, once what waits has been sent; that is tried for at most `_CLOSE_SECONDS`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                async with self._sending:  # what is on its way arrives, and is not sent twice
                    await self._end_task()
                await self._send_rest()
        if self._waiting:
            _log.warning("settlements_lost", count=len(self._waiting))

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _send_rest(self) -> None:
        """Send what waits; a key service that is being replaced as well is asked again."""
        while self._waiting:
            if not await self._send_batch():
                await asyncio.sleep(_CLOSE_RETRY_SECONDS)

    async def _send_for_ever(self) -> None:
        while True:
            await self._is_wanted.wait()
            await asyncio.sleep(_PAUSE_SECONDS)
            self._is_wanted.clear()
            while self._waiting:
                if not await self._send_batch():
                    await asyncio.sleep(_RETRY_SECONDS)
            if self._lost_count:
                _log.warning("settlements_lost", count=self._lost_count)
                self._lost_count = 0

    async def _send_batch(self) -> bool:
        """Send what fits into one call; return whether the key service took or refused it."""
        async with self._sending:
            with bind_request_id() as request_id:
                return await self._send_under(request_id)

    async def _send_under(self, request_id: str) -> bool:
        batch = [self._waiting[i] for i in range(min(self._batch, len(self._waiting)))]
        stub = KeyLeaseServiceStub(self._channel.channel())
        request = lease_pb.SettleLeaseRequest(settlements=[_message(s) for s in batch])
        causes = [c for s in batch if (c := self._causes.get(s.lease_id)) is not None]
        try:
            with work_span("keyturn.settle_leases", causes):
                await stub.SettleLease(
                    request, timeout=_SEND_SECONDS, metadata=((REQUEST_ID_KEY, request_id),)
                )
        except grpc.aio.AioRpcError as error:
            if error.code() not in _REFUSALS:
                return False
            if len(batch) > 1:
                # One of them is malformed, or they are too large together: find out which.
                self._batch = len(batch) // 2
                return True
            # To repeat what the key service cannot take would block the queue for ever.
            _log.error("settlement_refused", lease=batch[0].lease_id, code=error.code().name)
        for settlement in batch:
            # Taken off by identity: a full queue may have dropped its oldest meanwhile.
            self._causes.pop(settlement.lease_id, None)
            if self._waiting and self._waiting[0] is settlement:
                self._waiting.popleft()
        self._batch = min(self._batch * 2, _BATCH)
        return True


def _message(settlement: LeaseSettlement) -> lease_pb.LeaseSettlement:
    return lease_pb.LeaseSettlement(
        lease_id=settlement.lease_id,
        request_id=settlement.request_id,
        key=settlement.key,
        grant=settlement.grant,
        app=settlement.app,
        outcome=_OUTCOME[settlement.outcome],
        usage=_usage(settlement.usage),
        http_status=settlement.http_status,
        openai_request_id=settlement.openai_request_id[:_MAX_ID],
        body_sha256=settlement.body_sha256,
    )


def _usage(usage: Usage) -> lease_pb.Usage:
    return lease_pb.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_seconds=usage.audio_seconds,
        images=min(usage.images, _MAX_UINT32),
        model=usage.model,
        subject=usage.subject,
        source=_SOURCE[usage.source],
    )
