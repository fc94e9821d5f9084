from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from svc_runtime.call_context import REQUEST_ID_KEY
from svc_runtime.clock import SystemClock
from svc_runtime.error_details import field_violation_of, metadata_of
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor, StatusTable
from svc_runtime.service_error import (
    CallerNotAllowedError,
    CallerUnverifiedError,
    InvalidFieldError,
    ServiceError,
)
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    LogTape,
    call_kind,
    recording,
    serving,
)

CANARY = "canary-7d1f"


class _StoreDownError(ServiceError):
    reason = "STORE_DOWN"
    public_message = "The store is down. Try again."
    retry_after_seconds = 1.5


class _StoreSealedError(_StoreDownError):
    reason = "STORE_SEALED"


class _ForgottenError(ServiceError):
    reason = "FORGOTTEN"
    public_message = CANARY


TABLE: StatusTable = {_StoreDownError: grpc.StatusCode.UNAVAILABLE}
INTERCEPTORS = (
    AuditInterceptor(SystemClock()),
    ErrorStatusInterceptor(TABLE, "test.keyturn"),
)


@pytest.fixture(name="tape")
def _tape() -> Iterator[LogTape]:
    with recording() as tape:
        yield tape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (_StoreDownError(), grpc.StatusCode.UNAVAILABLE),
        (_StoreSealedError(), grpc.StatusCode.UNAVAILABLE),
        (InvalidFieldError("name", "must be short"), grpc.StatusCode.INVALID_ARGUMENT),
        (CallerUnverifiedError(), grpc.StatusCode.UNAUTHENTICATED),
        (CallerNotAllowedError(), grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
async def test_a_service_error_gets_its_row(
    kind: str, error: ServiceError, code: grpc.StatusCode, tape: LogTape
) -> None:
    async def act(_context: Context) -> None:
        raise error

    async with serving(*INTERCEPTORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.text) == (code, error.public_message)
    assert reply.reason == error.reason
    assert reply.error is not None
    assert metadata_of(reply.error) == {"request_id": (await tape.only_rpc())["request_id"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [ValueError(CANARY), _ForgottenError(), KeyError(CANARY), grpc.aio.UsageError(CANARY)],
    ids=lambda error: type(error).__name__,
)
async def test_the_text_of_an_unforeseen_error_goes_nowhere(
    kind: str, error: Exception, tape: LogTape, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(_context: Context) -> None:
        raise error

    async with serving(*INTERCEPTORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.text) == (grpc.StatusCode.INTERNAL, "internal error")
    assert reply.reason == "INTERNAL"
    assert CANARY not in f"{reply.trailing} {reply.error!r} {tape.events} {caplog.text}"


async def test_an_unforeseen_error_is_logged_by_type_and_place(tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        raise ValueError(CANARY)

    async with serving(*INTERCEPTORS, act=act) as channel:
        await call_kind(channel, "UnaryUnary")

    [logged] = [event for event in tape.events if event["event"] == "internal_error"]
    assert logged["exception"] == "ValueError"
    assert logged["where"].startswith("svc_runtime/interceptors/test_error_status.py:")
    assert logged["request_id"] == (await tape.only_rpc())["request_id"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancellation_inside_the_handler_does_not_leave_the_caller_waiting(
    kind: str, tape: LogTape
) -> None:
    async def act(_context: Context) -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    async with serving(*INTERCEPTORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert reply.code == grpc.StatusCode.INTERNAL
    assert (await tape.only_rpc())["code"] == "INTERNAL"


@pytest.mark.parametrize("kind", KINDS)
async def test_trailers_that_the_handler_set_survive_its_error(kind: str, tape: LogTape) -> None:
    async def act(context: Context) -> None:
        context.set_trailing_metadata((("x-receipt", "r1"),))
        raise _StoreDownError

    async with serving(*INTERCEPTORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert reply.trailing["x-receipt"] == "r1"
    assert reply.trailing[REQUEST_ID_KEY] == (await tape.only_rpc())["request_id"]
    assert reply.reason == "STORE_DOWN"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw_id", ["short", "x" * 65, "has space in it", "semi;colon"])
async def test_a_malformed_request_id_is_refused(kind: str, raw_id: str, tape: LogTape) -> None:
    async with serving(*INTERCEPTORS) as channel:
        reply = await call_kind(channel, kind, metadata=[(REQUEST_ID_KEY, raw_id)])

    assert reply.code == grpc.StatusCode.INVALID_ARGUMENT
    assert reply.error is not None
    violation = field_violation_of(reply.error)
    assert violation is not None
    assert violation[0] == REQUEST_ID_KEY
    record = await tape.only_rpc()
    assert (record["detail"], record["request_id"] != raw_id) == (REQUEST_ID_KEY, True)
