from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any, cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway_svc.domain.errors import KeyServiceUnavailableError, SuspendedError
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.reconciliation import (
    AdminKeyMissingError,
    Comparison,
    Counted,
    KeyListing,
    OpenAIUsage,
    ReconciledKey,
    Verdict,
)
from gateway_svc.keyvault_client.reconciliation_desk import GrpcReconciliationDesk
from keyturn.keyvault.v1 import lease_pb2 as lease_pb
from keyturn.keyvault.v1 import reconciliation_service_pb2 as reconciliation_pb
from keyturn.keyvault.v1.reconciliation_service_pb2_grpc import (
    ReconciliationServiceServicer,
    add_ReconciliationServiceServicer_to_server,
)
from svc_runtime.error_details import status_of
from svc_runtime.grpc_channel import ReloadingChannel
from svc_runtime.service_error import CallerNotAllowedError, InvalidFieldError, ServiceError

DAY = date(2027, 1, 31)
ALICE = KeyName.parse("users/alice/keys/openai")
ADMIN_KEY = "teams/operators/keys/openai-admin"
GATEWAY = "spiffe://example.org/gateway"
END = datetime(2027, 2, 1, tzinfo=UTC)


class KeyService(ReconciliationServiceServicer):
    """Answers in turn, and writes down what it was asked.

    Attributes:
        answers: What to answer.
        refusal: The error to answer with in place of these.
        asked: Every request, and its request id.
    """

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.refusal: tuple[grpc.StatusCode, ServiceError] | None = None
        self.asked: list[tuple[Any, str]] = []

    async def _answer(self, request: Any, context: Any) -> Any:  # noqa: ANN401 - of any RPC
        metadata = dict(context.invocation_metadata() or ())
        copy = type(request)()
        copy.CopyFrom(request)
        self.asked.append((copy, str(metadata.get("x-keyturn-request-id"))))
        if self.refusal is not None:
            code, error = self.refusal
            status = status_of(error, code, domain="keyvault.keyturn", request_id="request-0001")
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
            await context.abort(code, error.public_message)
        return self.answers.pop(0)

    ListReconciledKeys = LeaseAdminKey = ReportReconciliation = RecheckAdminKey = _answer


class PlainChannel:
    """What the desk needs of a `ReloadingChannel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def channel(self) -> grpc.aio.Channel:
        return self._channel


@pytest.fixture
async def sides() -> AsyncIterator[tuple[GrpcReconciliationDesk, KeyService]]:
    service = KeyService()
    server = grpc.aio.server()
    add_ReconciliationServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield GrpcReconciliationDesk(cast("ReloadingChannel", PlainChannel(channel))), service
    await server.stop(None)


Sides = tuple[GrpcReconciliationDesk, KeyService]


def _page(
    *keys: str, token: str = "", uncovered: tuple[str, ...] = ()
) -> reconciliation_pb.ListReconciledKeysResponse:
    return reconciliation_pb.ListReconciledKeysResponse(
        date="2027-01-31",
        keys=[reconciliation_pb.ReconciledKey(key=key, openai_key_id="key_a") for key in keys],
        uncovered_keys=uncovered,
        next_page_token=token,
    )


async def test_all_pages_of_one_day_are_one_listing(sides: Sides) -> None:
    desk, service = sides
    other = "users/alice/keys/other"
    service.answers = [_page(str(ALICE), token="t", uncovered=(other,)), _page(uncovered=(other,))]

    listing = await desk.list_keys(None)

    assert listing == KeyListing(DAY, (ReconciledKey(ALICE, "key_a"),), (KeyName.parse(other),))
    assert [(request.date, request.page_token) for request, _ in service.asked] == [
        ("", ""),
        ("2027-01-31", "t"),
    ]
    assert len({request_id for _, request_id in service.asked}) == 2


async def test_a_lease_comes_with_all_that_vault_audits(sides: Sides) -> None:
    desk, service = sides
    expire_time = Timestamp()
    expire_time.FromDatetime(END)
    lease = lease_pb.Lease(
        lease_id="0" * 32, sealed_key="c", key_version=2, expire_time=expire_time
    )
    service.answers = [
        reconciliation_pb.LeaseAdminKeyResponse(
            key=ADMIN_KEY, lease=lease, request_id="request-0001", app=GATEWAY
        )
    ]

    leased = await desk.lease_admin_key()

    assert (str(leased.key), str(leased.app)) == (ADMIN_KEY, GATEWAY)
    assert (leased.request_id, leased.lease.lease_id) == ("request-0001", "0" * 32)
    assert leased.lease.expire_time == END


async def test_figures_go_there_and_what_they_mean_comes_back(sides: Sides) -> None:
    desk, service = sides
    service.answers = [
        reconciliation_pb.ReportReconciliationResponse(
            comparisons=[
                reconciliation_pb.Comparison(
                    openai_key_id="key_a",
                    keys=[str(ALICE)],
                    keyturn_usage=reconciliation_pb.CountedUsage(request_count=1),
                    openai_usage=reconciliation_pb.CountedUsage(
                        request_count=3, input_tokens=20, output_tokens=7
                    ),
                    verdict=reconciliation_pb.RECONCILIATION_VERDICT_USED_ELSEWHERE,
                )
            ]
        )
    ]
    counted = Counted(3, 20, 7)

    comparisons = await desk.report(DAY, [OpenAIUsage("key_a", (ALICE,), counted)])

    assert comparisons == [
        Comparison("key_a", (ALICE,), Counted(1), counted, Verdict.USED_ELSEWHERE)
    ]
    [(request, _)] = service.asked
    assert (request.date, request.usages[0].openai_usage.output_tokens) == ("2027-01-31", 7)


async def test_the_admin_key_is_to_be_verified(sides: Sides) -> None:
    desk, service = sides
    service.answers = [reconciliation_pb.RecheckAdminKeyResponse()]

    await desk.recheck_admin_key()

    assert [request for request, _ in service.asked] == [reconciliation_pb.RecheckAdminKeyRequest()]


class _KeyNotFoundError(ServiceError):
    reason = "KEY_NOT_FOUND"
    public_message = "There is none."


@pytest.mark.parametrize(
    ("code", "refusal", "failure"),
    [
        (grpc.StatusCode.NOT_FOUND, _KeyNotFoundError(), AdminKeyMissingError),
        (grpc.StatusCode.PERMISSION_DENIED, CallerNotAllowedError(), CallerNotAllowedError),
        (grpc.StatusCode.PERMISSION_DENIED, SuspendedError(), SuspendedError),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidFieldError("date", "r"), InvalidFieldError),
    ],
    ids=lambda value: getattr(value, "reason", None),
)
async def test_refusals_of_the_key_service_are_told_apart(
    sides: Sides, code: grpc.StatusCode, refusal: ServiceError, failure: type[Exception]
) -> None:
    desk, service = sides
    service.refusal = (code, refusal)

    with pytest.raises(failure):
        await desk.list_keys(DAY)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_page("alice"), id="no name"),
        pytest.param(reconciliation_pb.ListReconciledKeysResponse(date="today"), id="no day"),
    ],
)
async def test_a_listing_that_cannot_be_read_is_an_outage(
    sides: Sides, answer: reconciliation_pb.ListReconciledKeysResponse
) -> None:
    desk, service = sides
    service.answers = [answer]

    with pytest.raises(KeyServiceUnavailableError):
        await desk.list_keys(DAY)


async def test_a_verdict_that_nobody_knows_is_an_outage(sides: Sides) -> None:
    desk, service = sides
    service.answers = [
        reconciliation_pb.ReportReconciliationResponse(
            comparisons=[reconciliation_pb.Comparison(openai_key_id="key_a", keys=[str(ALICE)])]
        )
    ]

    with pytest.raises(KeyServiceUnavailableError):
        await desk.report(DAY, [OpenAIUsage("key_a", (ALICE,), Counted())])
