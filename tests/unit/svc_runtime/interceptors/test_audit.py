from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from svc_runtime.call_context import REQUEST_ID_KEY, annotate, current_call
from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.service_error import CallerNotAllowedError
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    LogTape,
    call_kind,
    finish,
    method_of,
    recording,
    serving,
    start,
)

AUDIT = AuditInterceptor(SystemClock())
ERRORS = ErrorStatusInterceptor({}, "test.keyturn")


@pytest.fixture(name="tape")
def _tape() -> Iterator[LogTape]:
    with recording() as tape:
        yield tape


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_succeeds_leaves_one_record(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        annotate(key="users/alice/keys/openai", input_tokens=7)

    async with serving(AUDIT, act=act) as channel:
        reply = await call_kind(channel, kind, metadata=[(REQUEST_ID_KEY, "req-12345678")])

    assert reply.code == grpc.StatusCode.OK
    record = await tape.only_rpc()
    assert record.pop("duration_ms") >= 0
    assert record == {
        "event": "rpc",
        "method": method_of(kind),
        "code": "OK",
        "reason": None,
        "request_id": "req-12345678",
        "caller": None,
        "source_ip": "127.0.0.1",
        "key": "users/alice/keys/openai",
        "input_tokens": 7,
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_call_leaves_one_record(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        raise CallerNotAllowedError

    async with serving(AUDIT, ERRORS, act=act) as channel:
        await call_kind(channel, kind)

    record = await tape.only_rpc()
    assert (record["code"], record["reason"]) == ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_leaves_one_record(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        raise ValueError("canary-text")

    async with serving(AUDIT, ERRORS, act=act) as channel:
        await call_kind(channel, kind)

    record = await tape.only_rpc()
    assert (record["code"], record["reason"]) == ("INTERNAL", "INTERNAL")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_that_nobody_caught_is_recorded_too(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        raise ValueError("canary-text")

    async with serving(AUDIT, act=act) as channel:
        await call_kind(channel, kind)

    record = await tape.only_rpc()
    assert record["code"] == "UNKNOWN"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_abort_by_the_handler_is_recorded_with_its_code(kind: str, tape: LogTape) -> None:
    async def act(context: Context) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")

    async with serving(AUDIT, ERRORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.text) == (grpc.StatusCode.NOT_FOUND, "nothing here")
    assert reply.trailing[REQUEST_ID_KEY] == (await tape.only_rpc())["request_id"]
    assert (await tape.only_rpc())["code"] == "NOT_FOUND"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_its_caller_cancels_is_recorded(kind: str, tape: LogTape) -> None:
    reached = asyncio.Event()

    async def act(_context: Context) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with serving(AUDIT, ERRORS, act=act) as channel:
        call = start(channel, method_of(kind))
        await reached.wait()
        call.cancel()
        record = await tape.next_rpc()

    assert record["code"] == "CANCELLED"
    assert len(tape.rpcs) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_outlives_its_deadline_is_recorded(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        await asyncio.Event().wait()

    async with serving(AUDIT, ERRORS, act=act) as channel:
        reply = await call_kind(channel, kind, seconds=1.0)  # enough for the request to arrive
        record = await tape.next_rpc()

    assert reply.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert record["code"] == "DEADLINE_EXCEEDED"
    assert len(tape.rpcs) == 1


@pytest.mark.parametrize("method", ["/test.Echo/Missing", "/nobody.Serves/This", "/"])
async def test_an_unknown_method_is_recorded_and_answered(method: str, tape: LogTape) -> None:
    async with serving(AUDIT, ERRORS) as channel:
        reply = await finish(start(channel, method))

    assert reply.code == grpc.StatusCode.UNIMPLEMENTED
    assert reply.text == "This service has no such method."
    record = await tape.only_rpc()
    assert (record["method"], record["code"]) == (method, "UNIMPLEMENTED")
    assert (record["reason"], record["source_ip"]) == ("METHOD_UNKNOWN", "127.0.0.1")


async def test_a_request_that_never_arrives_whole_is_recorded(tape: LogTape) -> None:
    too_large = b"x" * (5 * 1024 * 1024)  # gRPC takes 4 MiB where no option says otherwise

    async with serving(AUDIT, ERRORS) as channel:
        reply = await finish(start(channel, method_of("UnaryUnary"), too_large))
        record = await tape.next_rpc()

    assert reply.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (record["code"], record["reason"]) == ("CANCELLED", "REQUEST_NOT_RECEIVED")
    assert len(tape.rpcs) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_names_its_request_and_keeps_the_handlers_trailers(
    kind: str, tape: LogTape
) -> None:
    async def act(context: Context) -> None:
        context.set_trailing_metadata((("x-receipt", "r1"),))

    async with serving(AUDIT, ERRORS, act=act) as channel:
        reply = await call_kind(channel, kind)

    assert reply.trailing["x-receipt"] == "r1"
    assert reply.trailing[REQUEST_ID_KEY] == (await tape.only_rpc())["request_id"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_code_that_a_handler_sets_is_recorded(kind: str, tape: LogTape) -> None:
    async def act(context: Context) -> None:
        context.set_code(grpc.StatusCode.ABORTED)

    async with serving(AUDIT, ERRORS, act=act) as channel:
        await call_kind(channel, kind)

    assert (await tape.only_rpc())["code"] == "ABORTED"


async def test_the_audit_record_cannot_be_overwritten_by_an_annotation(tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        annotate(caller="somebody else", code="NONE", method="/other")

    async with serving(AUDIT, act=act) as channel:
        await call_kind(channel, "UnaryUnary")

    record = await tape.only_rpc()
    assert (record["caller"], record["code"]) == (None, "OK")
    assert record["method"] == method_of("UnaryUnary")


async def test_calls_at_the_same_time_keep_their_contexts_apart(tape: LogTape) -> None:
    everyone_is_in = asyncio.Barrier(3)

    async def act(_context: Context) -> None:
        await everyone_is_in.wait()
        annotate(key=current_call().request_id)

    async with serving(AUDIT, act=act) as channel:
        await asyncio.gather(
            *(
                call_kind(channel, kind, metadata=[(REQUEST_ID_KEY, f"request-{kind}")])
                for kind in KINDS[:3]
            )
        )

    assert {record["key"] for record in tape.rpcs} == {f"request-{kind}" for kind in KINDS[:3]}
    assert all(record["key"] == record["request_id"] for record in tape.rpcs)
