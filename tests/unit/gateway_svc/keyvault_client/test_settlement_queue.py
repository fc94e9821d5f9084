from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import grpc
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway_svc.domain.lease_ports import LeaseOutcome, LeaseSettlement
from gateway_svc.keyvault_client import settlement_queue
from gateway_svc.keyvault_client.settlement_queue import SettlementQueue
from keyturn.keyvault.v1 import key_lease_service_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import (
    KeyLeaseServiceServicer,
    add_KeyLeaseServiceServicer_to_server,
)
from svc_runtime.call_context import REQUEST_ID_KEY
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.telemetry.spans import server_span
from tests.span_tape import taping

POISON = "poison"
NOT_SAMPLED = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),)
SETTLEMENT = LeaseSettlement(
    "0" * 32,
    "request-1",
    "users/alice/keys/openai",
    "users/alice/keys/openai/grants/0123456789abcdef",
    "spiffe://example.org/app/billing",
    LeaseOutcome.SERVED,
)


class KeyService(KeyLeaseServiceServicer):
    """Takes settlements, refuses a batch that holds the poison, and can be away.

    Attributes:
        asked: Lease ids of each batch that has come.
        is_asked: Set once one has.
        is_let_answer: Clear while answers are to wait.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_asked = asyncio.Event()
        self.is_let_answer = asyncio.Event()
        self.is_let_answer.set()
        self.settled: list[str] = []
        self.calls_away = 0
        self.request_ids: list[str] = []

    async def AcquireLease(  # noqa: N802 - the proto's name
        self, request: object, context: object
    ) -> lease_pb.AcquireLeaseResponse:
        raise NotImplementedError

    async def CheckLease(  # noqa: N802 - the proto's name
        self, request: object, context: object
    ) -> lease_pb.CheckLeaseResponse:
        raise NotImplementedError

    async def SettleLease(  # noqa: N802 - the proto's name
        self,
        request: lease_pb.SettleLeaseRequest,
        context: grpc.aio.ServicerContext[
            lease_pb.SettleLeaseRequest, lease_pb.SettleLeaseResponse
        ],
    ) -> lease_pb.SettleLeaseResponse:
        metadata = dict(context.invocation_metadata() or ())
        self.request_ids.append(str(metadata.get(REQUEST_ID_KEY)))
        self.asked.append([settlement.lease_id for settlement in request.settlements])
        self.is_asked.set()
        await self.is_let_answer.wait()
        if self.calls_away:
            self.calls_away -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if any(settlement.request_id == POISON for settlement in request.settlements):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "malformed")
        self.settled += [settlement.lease_id for settlement in request.settlements]
        return lease_pb.SettleLeaseResponse(settled_count=len(request.settlements))


class PlainChannel:
    """What the queue needs of a `ReloadingChannel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def channel(self) -> grpc.aio.Channel:
        return self._channel


@pytest.fixture
async def key_service() -> AsyncIterator[tuple[KeyService, SettlementQueue]]:
    service = KeyService()
    server = grpc.aio.server()
    add_KeyLeaseServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield service, SettlementQueue(cast("ReloadingChannel", PlainChannel(channel)))
    await server.stop(None)


def _settlements(count: int) -> list[LeaseSettlement]:
    return [replace(SETTLEMENT, lease_id=f"{number:032x}") for number in range(count)]


async def test_what_waits_is_sent_at_the_end(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    for settlement in _settlements(1100):
        queue.put(settlement)

    await queue.close()

    assert service.settled == [settlement.lease_id for settlement in _settlements(1100)]


async def test_a_batch_that_is_on_its_way_at_the_end_is_sent_once(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    service.is_let_answer.clear()
    first, second = _settlements(2)
    queue.start()
    queue.put(first)
    await service.is_asked.wait()

    queue.put(second)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0.05)  # close() would have broken the batch off
    service.is_let_answer.set()
    await closing

    assert service.asked == [[first.lease_id], [second.lease_id]]
    assert service.settled == [first.lease_id, second.lease_id]


async def test_one_that_is_refused_does_not_take_others_along(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    settlements = _settlements(50)
    settlements[17] = replace(settlements[17], request_id=POISON)
    for settlement in settlements:
        queue.put(settlement)

    await queue.close()

    assert service.settled == [s.lease_id for s in settlements if s.request_id != POISON]


async def test_a_key_service_that_is_away_for_a_moment_at_the_end_is_asked_again(
    key_service: tuple[KeyService, SettlementQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement_queue, "_CLOSE_RETRY_SECONDS", 0.0)
    service, queue = key_service
    service.calls_away = 3
    queue.put(SETTLEMENT)

    await queue.close()

    assert service.settled == [SETTLEMENT.lease_id]


async def test_a_key_service_that_stays_away_at_the_end_does_not_hold_the_stop_up(
    key_service: tuple[KeyService, SettlementQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement_queue, "_CLOSE_SECONDS", 0.2)
    service, queue = key_service
    service.calls_away = 1_000_000
    queue.put(SETTLEMENT)

    with capture_logs() as logs:
        await queue.close()

    assert service.settled == []
    assert [(x["event"], x["count"]) for x in logs] == [("settlements_lost", 1)]


async def test_an_id_of_openai_is_cut_to_what_the_contract_takes(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    queue.put(replace(SETTLEMENT, openai_request_id="x" * 300))

    await queue.close()

    assert service.settled == [SETTLEMENT.lease_id]


async def test_each_batch_has_a_request_id_that_the_log_tells_too(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    for _ in range(2):
        queue.put(replace(SETTLEMENT, request_id=POISON))

    with capture_logs(processors=[merge_contextvars]) as logs:
        await queue.close()

    refused = [log["request_id"] for log in logs if log["event"] == "settlement_refused"]
    assert len(set(service.request_ids)) == len(service.request_ids) == 3
    assert refused == service.request_ids[1:]


async def test_a_batch_joins_the_trace_of_its_first_sampled_call_and_names_the_others(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    with taping() as tape:
        for settlement in _settlements(3):
            with server_span("serve", NOT_SAMPLED if settlement.lease_id == "0" * 32 else ()):
                queue.put(settlement)
        await queue.close()

    first, second, settling = tape.spans
    assert len(service.settled) == 3
    assert settling.parent == first.context
    assert [link.context for link in settling.links] == [second.context]


async def test_a_batch_of_calls_that_nobody_samples_is_traced_nowhere(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    service, queue = key_service
    with taping() as tape:
        for settlement in _settlements(2):
            with server_span("serve", NOT_SAMPLED):
                queue.put(settlement)
        await queue.close()

    assert len(service.settled) == 2
    assert tape.spans == []


async def test_of_what_is_settled_no_trace_is_kept(
    key_service: tuple[KeyService, SettlementQueue],
) -> None:
    _, queue = key_service
    with taping(), server_span("serve", ()):
        for settlement in _settlements(5):
            queue.put(settlement)
        await queue.close()

    assert queue._causes == {}
