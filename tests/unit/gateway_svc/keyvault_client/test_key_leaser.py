from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway_svc.domain.errors import OwnerNotPresentError
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import LeaseRequest, Remaining
from gateway_svc.keyvault_client.key_leaser import GrpcKeyLeaser
from gateway_svc.keyvault_client.settlement_queue import SettlementQueue
from keyturn.keyvault.v1 import key_lease_service_pb2 as service_pb
from keyturn.keyvault.v1 import lease_pb2 as lease_pb
from keyturn.keyvault.v1.key_lease_service_pb2_grpc import (
    KeyLeaseServiceServicer,
    add_KeyLeaseServiceServicer_to_server,
)
from keyvault_svc.domain import errors as custody_errors
from svc_runtime.error_details import STATUS_DETAILS_KEY, status_of
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId

APP = "spiffe://example.org/app/billing"
KEY = "users/alice/keys/openai"
REQUEST = LeaseRequest(
    "request-0001",
    KeyName.parse(KEY),
    SpiffeId.parse(APP),
    "POST",
    "chat/completions",
    "gpt-4o",
    "10.1.2.3",
    bytes(32),
    200,
    10,
    SecretBytes(b"app-canary"),
    ("gpt-image-1",),
    SecretBytes(b"owner-canary"),
    3,
    runs_tools=True,
)
MESSAGE = service_pb.AcquireLeaseRequest(
    key=KEY,
    app=APP,
    app_token=b"app-canary",
    endpoint="chat/completions",
    model="gpt-4o",
    source_ip="10.1.2.3",
    body_sha256=bytes(32),
    more_models=["gpt-image-1"],
    method="POST",
    input_token_bound=200,
    output_token_bound=10,
    owner_token=b"owner-canary",
    answer_count=3,
    runs_tools=True,
)
LEASE_ID = "0" * 32
Context = grpc.aio.ServicerContext[Any, Any]


class KeyService(KeyLeaseServiceServicer):
    """Hands one lease out, or refuses."""

    def __init__(self) -> None:
        self.requests: list[service_pb.AcquireLeaseRequest] = []
        self.checks: list[service_pb.CheckLeaseRequest] = []
        self.does_refuse = False

    async def AcquireLease(  # noqa: N802 - the proto's name
        self, request: service_pb.AcquireLeaseRequest, context: Context
    ) -> service_pb.AcquireLeaseResponse:
        self.requests.append(request)
        await self._refuse(context)
        end = Timestamp()
        end.FromDatetime(datetime(2026, 3, 1, tzinfo=UTC))
        lease = lease_pb.Lease(
            lease_id=LEASE_ID,
            sealed_key="vault:v1:x",
            key_version=1,
            expire_time=end,
            remaining=lease_pb.Remaining(requests=5),
        )
        return service_pb.AcquireLeaseResponse(lease=lease)

    async def CheckLease(  # noqa: N802 - the proto's name
        self, request: service_pb.CheckLeaseRequest, context: Context
    ) -> service_pb.CheckLeaseResponse:
        self.checks.append(request)
        await self._refuse(context)
        return service_pb.CheckLeaseResponse()

    async def SettleLease(  # noqa: N802 - the proto's name
        self, request: service_pb.SettleLeaseRequest, context: Context
    ) -> service_pb.SettleLeaseResponse:
        del request, context
        raise AssertionError  # nothing is settled here

    async def _refuse(self, context: Context) -> None:
        if self.does_refuse:
            code = grpc.StatusCode.PERMISSION_DENIED
            error = custody_errors.OwnerNotPresentError()
            status = status_of(error, code, domain="keyvault.keyturn", request_id="request-0001")
            context.set_trailing_metadata(((STATUS_DETAILS_KEY, status.SerializeToString()),))
            await context.abort(code, "")


class PlainChannel:
    """What the leaser needs of a `ReloadingChannel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def channel(self) -> grpc.aio.Channel:
        return self._channel


@pytest.fixture
async def leaser_and_service() -> AsyncIterator[tuple[GrpcKeyLeaser, KeyService]]:
    service = KeyService()
    server = grpc.aio.server()
    add_KeyLeaseServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as grpc_channel:
        channel = cast("ReloadingChannel", PlainChannel(grpc_channel))
        yield GrpcKeyLeaser(channel, SettlementQueue(channel)), service
    await server.stop(None)


async def test_the_key_service_is_told_all_that_it_decides_by(
    leaser_and_service: tuple[GrpcKeyLeaser, KeyService],
) -> None:
    leaser, service = leaser_and_service

    lease = await leaser.acquire(REQUEST, 10.0)

    assert lease.remaining == Remaining(requests=5)
    assert service.requests == [MESSAGE]


async def test_a_check_names_the_lease_and_the_request_as_it_goes_on(
    leaser_and_service: tuple[GrpcKeyLeaser, KeyService],
) -> None:
    leaser, service = leaser_and_service

    await leaser.check(LEASE_ID, REQUEST, 10.0)

    assert service.checks == [service_pb.CheckLeaseRequest(lease_id=LEASE_ID, request=MESSAGE)]
    assert service.requests == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda leaser: leaser.acquire(REQUEST, 10.0),
        lambda leaser: leaser.check(LEASE_ID, REQUEST, 10.0),
    ],
    ids=["acquire", "check"],
)
async def test_a_refusal_says_why_and_holds_no_token(
    leaser_and_service: tuple[GrpcKeyLeaser, KeyService],
    ask: Callable[[GrpcKeyLeaser], Awaitable[object]],
) -> None:
    leaser, service = leaser_and_service
    service.does_refuse = True

    with pytest.raises(OwnerNotPresentError) as caught:
        await ask(leaser)

    assert caught.value.__context__ is None
    [held] = [entry.locals for entry in caught.traceback if "message" in entry.locals]
    assert "canary" not in str(held)
