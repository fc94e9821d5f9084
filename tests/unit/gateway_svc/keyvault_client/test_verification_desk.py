from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from gateway_svc.domain.errors import KeyServiceUnavailableError
from gateway_svc.domain.verification import VerificationOutcome
from gateway_svc.domain.verifier import Verification
from gateway_svc.keyvault_client.verification_desk import GrpcVerificationDesk
from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_verification_service_pb2 as verification_pb
from keyturn.keyvault.v1 import lease_pb2 as lease_pb
from keyturn.keyvault.v1.key_verification_service_pb2_grpc import (
    KeyVerificationServiceServicer,
    add_KeyVerificationServiceServicer_to_server,
)
from svc_runtime.call_context import bind_request_id
from svc_runtime.grpc_channel import ReloadingChannel

KEY = "users/alice/keys/openai"
APP = "spiffe://example.org/gateway"
END = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)

ClaimContext = grpc.aio.ServicerContext[
    verification_pb.ClaimVerificationRequest, verification_pb.ClaimVerificationResponse
]
ReportContext = grpc.aio.ServicerContext[
    verification_pb.ReportVerificationRequest, verification_pb.ReportVerificationResponse
]


class KeyService(KeyVerificationServiceServicer):
    """Hands one verification out, and can be away."""

    def __init__(self) -> None:
        self.verification: verification_pb.Verification | None = None
        self.refusal: grpc.StatusCode | None = None
        self.reports: list[tuple[verification_pb.ReportVerificationRequest, str]] = []
        self.remaining_seconds: list[float | None] = []
        self.claims: list[str] = []

    async def ClaimVerification(  # noqa: N802 - the proto's name
        self, request: verification_pb.ClaimVerificationRequest, context: ClaimContext
    ) -> verification_pb.ClaimVerificationResponse:
        del request
        metadata = dict(context.invocation_metadata() or ())
        self.claims.append(str(metadata.get("x-keyturn-request-id")))
        self.remaining_seconds.append(context.time_remaining())
        if self.refusal is not None:
            await context.abort(self.refusal, "canary")
        return verification_pb.ClaimVerificationResponse(verification=self.verification)

    async def ReportVerification(  # noqa: N802 - the proto's name
        self, request: verification_pb.ReportVerificationRequest, context: ReportContext
    ) -> verification_pb.ReportVerificationResponse:
        self.remaining_seconds.append(context.time_remaining())
        if self.refusal is not None:
            await context.abort(self.refusal, "canary")
        metadata = dict(context.invocation_metadata() or ())
        self.reports.append((request, str(metadata.get("x-keyturn-request-id"))))
        return verification_pb.ReportVerificationResponse()


class PlainChannel:
    """What the desk needs of a `ReloadingChannel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def channel(self) -> grpc.aio.Channel:
        return self._channel


@pytest.fixture
async def desk_and_service() -> AsyncIterator[tuple[GrpcVerificationDesk, KeyService]]:
    service = KeyService()
    server = grpc.aio.server()
    add_KeyVerificationServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GrpcVerificationDesk(cast("ReloadingChannel", PlainChannel(channel))), service
    await server.stop(None)


def _message(
    *, key: str = KEY, app: str = APP, request_id: str = "request-0001", sealed_key: str = "sealed"
) -> verification_pb.Verification:
    expire_time = Timestamp()
    expire_time.FromDatetime(END)
    lease = lease_pb.Lease(
        lease_id="0" * 32, sealed_key=sealed_key, key_version=2, expire_time=expire_time
    )
    return verification_pb.Verification(key=key, lease=lease, request_id=request_id, app=app)


async def _claimed(desk: GrpcVerificationDesk, service: KeyService) -> Verification:
    service.verification = _message()
    claimed = await desk.claim()
    assert claimed is not None
    return claimed


async def test_what_is_due_is_handed_out_with_all_that_vault_audits(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    claimed = await _claimed(*desk_and_service)

    assert (claimed.request_id, str(claimed.key), str(claimed.app)) == ("request-0001", KEY, APP)
    assert (claimed.lease.lease_id, claimed.lease.expire_time) == ("0" * 32, END)
    assert (claimed.lease.ciphertext, claimed.lease.grant) == ("sealed", "")


async def test_nothing_is_handed_out_where_nothing_is_due(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    desk, _ = desk_and_service

    assert await desk.claim() is None


@pytest.mark.parametrize(
    "message",
    [
        _message(key="canary"),
        _message(app="canary"),
        _message(request_id=""),
        _message(request_id="canary\r\nx-vault-token: canary"),
        _message(sealed_key=""),
    ],
    ids=["key", "app", "no request id", "request id", "lease"],
)
async def test_what_is_malformed_is_an_outage_that_repeats_nothing(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
    message: verification_pb.Verification,
) -> None:
    desk, service = desk_and_service
    service.verification = message

    with capture_logs() as events, pytest.raises(KeyServiceUnavailableError) as caught:
        await desk.claim()

    assert [event["event"] for event in events] == ["lease_malformed"]
    assert "canary" not in f"{events}{caught.value!r}"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("outcome", "sent"),
    [
        (VerificationOutcome.VERIFIED, key_pb.VERIFICATION_OUTCOME_VERIFIED),
        (VerificationOutcome.WRONG_KEY, key_pb.VERIFICATION_OUTCOME_WRONG_KEY),
        (VerificationOutcome.NO_QUOTA, key_pb.VERIFICATION_OUTCOME_NO_QUOTA),
        (VerificationOutcome.NO_PERMISSION, key_pb.VERIFICATION_OUTCOME_NO_PERMISSION),
        (VerificationOutcome.OPENAI_UNREACHABLE, key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE),
    ],
)
async def test_every_outcome_is_reported_under_its_lease_and_request(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
    outcome: VerificationOutcome,
    sent: key_pb.VerificationOutcome.ValueType,
) -> None:
    desk, service = desk_and_service
    claimed = await _claimed(desk, service)

    await desk.report(claimed, outcome)

    request = verification_pb.ReportVerificationRequest(key=KEY, lease_id="0" * 32, outcome=sent)
    assert service.reports == [(request, "request-0001")]


async def test_both_calls_have_a_deadline(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    desk, service = desk_and_service
    claimed = await _claimed(desk, service)

    await desk.report(claimed, VerificationOutcome.VERIFIED)

    assert [s is not None and 0 < s < 11 for s in service.remaining_seconds] == [True, True]


async def test_a_key_service_that_cannot_answer_is_an_outage(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    desk, service = desk_and_service
    service.refusal = grpc.StatusCode.UNAVAILABLE

    with capture_logs() as events, pytest.raises(KeyServiceUnavailableError):
        await desk.claim()

    assert [(event["event"], event["code"]) for event in events] == [
        ("key_service_unavailable", "UNAVAILABLE")
    ]


async def test_a_report_that_comes_too_late_is_logged_by_its_lease(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    desk, service = desk_and_service
    claimed = await _claimed(desk, service)
    service.refusal = grpc.StatusCode.NOT_FOUND

    with capture_logs() as events, pytest.raises(KeyServiceUnavailableError):
        await desk.report(claimed, VerificationOutcome.VERIFIED)

    assert events == [
        {
            "event": "verification_report_refused",
            "log_level": "warning",
            "code": "NOT_FOUND",
            "key": KEY,
            "lease": "0" * 32,
        }
    ]


async def test_a_claim_goes_under_the_request_id_of_its_run(
    desk_and_service: tuple[GrpcVerificationDesk, KeyService],
) -> None:
    desk, service = desk_and_service

    with bind_request_id() as request_id:
        await desk.claim()

    assert service.claims == [request_id]
