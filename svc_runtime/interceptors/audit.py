"""Outermost interceptor: exactly one `rpc` record per RPC, whatever becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import structlog

from svc_runtime.authentication import source_ip_of
from svc_runtime.call_context import (
    REQUEST_ID_KEY,
    CallContext,
    annotate,
    bind_call,
    new_request_id,
    request_id_from,
)
from svc_runtime.clock import Clock
from svc_runtime.interceptors.handler_wrapping import (
    Continuation,
    Handler,
    Proceed,
    ServicerContext,
    wrap_handler,
)
from svc_runtime.interceptors.trailing_metadata import add_trailing_metadata
from svc_runtime.log_fields import LogField, LogValue
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.telemetry.metrics_of_calls import REFUSALS, RPC_DURATION

_log = structlog.stdlib.get_logger()
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class AuditInterceptor(grpc.aio.ServerInterceptor):
    """Opens the call's context, and closes it with its audit record.

    The record of a success is written before the caller hears of it, that of a failure at
    once after: gRPC sends the status of an abort before it returns. An RPC whose request never
    arrives whole (cancelled at once, or too large) has no handler run; it is recorded
    when its task ends, without what only a running handler can know.
    """

    def __init__(self, clock: Clock) -> None:
        """Create an interceptor that measures durations with *clock*."""
        self._clock = clock

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Return the audited handler; for a method that nobody serves, one that says so."""
        metadata = handler_call_details.invocation_metadata
        raw_ids = [v for k, v in metadata if k == REQUEST_ID_KEY]
        record = _Record(
            CallContext(request_id=_usable_id(raw_ids), method=handler_call_details.method),
            self._clock,
        )
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _task: record.write_unless_written())
        handler = await continuation(handler_call_details)
        if handler is None:
            handler = grpc.stream_stream_rpc_method_handler(_refuse_unknown_method)
        return wrap_handler(handler, record.around)


class _Record:
    """One RPC on its way to its audit record."""

    def __init__(self, call: CallContext, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._start = clock.monotonic()
        self._is_written = False

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        source_ip = source_ip_of(context.peer())
        with bind_call(self._call):
            # Before the handler for a handler that aborts, after it for one that set its own.
            add_trailing_metadata(context, REQUEST_ID_KEY, self._call.request_id)
            try:
                response = await proceed()
            except (asyncio.CancelledError, grpc.aio.InternalError):
                # InternalError: the connection broke under a write.
                is_late = context.time_remaining() == 0
                self._write("DEADLINE_EXCEEDED" if is_late else "CANCELLED", source_ip)
                raise
            except BaseException:
                self._write(_code_name(context.code(), grpc.StatusCode.UNKNOWN), source_ip)
                raise
            add_trailing_metadata(context, REQUEST_ID_KEY, self._call.request_id)
            self._write(_code_name(context.code(), grpc.StatusCode.OK), source_ip)
            return response

    def write_unless_written(self) -> None:
        if not self._is_written:
            self._call.fields[LogField.REASON] = "REQUEST_NOT_RECEIVED"
            self._write("CANCELLED", source_ip="")

    def _write(self, code: str, source_ip: str) -> None:
        self._is_written = True
        call = self._call
        seconds = self._clock.monotonic() - self._start
        RPC_DURATION.record(seconds, call.method, code)
        if (reason := call.fields.get(LogField.REASON)) is not None:
            REFUSALS.add(1, str(reason))
        fixed: dict[str, LogValue] = {
            LogField.REQUEST_ID: call.request_id,
            LogField.METHOD: call.method,
            LogField.CALLER: call.caller.name if call.caller else None,
            LogField.SOURCE_IP: source_ip,
            LogField.CODE: code,
            LogField.REASON: reason,
            LogField.DURATION_MS: round(seconds * 1000, 3),
        }
        fields = {**call.fields, **fixed}
        if call.is_idle_poll and code == "OK":
            _log.debug("rpc", **fields)
        else:
            _log.info("rpc", **fields)


async def _refuse_unknown_method(_requests: object, context: ServicerContext) -> None:
    annotate(reason="METHOD_UNKNOWN")
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "This service has no such method.")


def _usable_id(raw_ids: list[str | bytes]) -> str:
    """Return the caller's id if it is well-formed; error_status answers a malformed one."""
    try:
        return request_id_from(raw_ids)
    except InvalidFieldError:
        return new_request_id()


def _code_name(code: grpc.StatusCode | int | None, default: grpc.StatusCode) -> str:
    """Return the name of *code*, which a handler may set as a number and gRPC leaves None."""
    if isinstance(code, int):
        return _CODES.get(code, grpc.StatusCode.UNKNOWN).name
    return (code or default).name
