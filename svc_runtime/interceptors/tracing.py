"""Inside of audit: the span of serving an RPC, a child of its caller's."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from svc_runtime.call_context import annotate, current_call
from svc_runtime.interceptors.handler_wrapping import Proceed, ServicerContext, WrappingInterceptor
from svc_runtime.log_fields import LogField
from svc_runtime.telemetry.spans import CallSpan, server_span, trace_id

# Whose fault a failure is: these are the server's, as OpenTelemetry has it.
_SERVER_FAULTS: Final = frozenset(
    {"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"}
)


class TracingInterceptor(WrappingInterceptor):
    """Serves each RPC inside of a span, which is named by the method."""

    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Return what the call returns."""
        method = current_call().method.removeprefix("/")
        with server_span(method, context.invocation_metadata() or ()) as span:
            if not span.is_recorded:
                return await proceed()
            annotate(trace_id=trace_id())
            span.set("rpc.system.name", "grpc")
            span.set("rpc.method", method)
            try:
                response = await proceed()
            except asyncio.CancelledError:
                is_late = context.time_remaining() == 0
                _conclude(span, "DEADLINE_EXCEEDED" if is_late else "CANCELLED")
                raise
            except BaseException:
                _conclude(span, _code_name(context, grpc.StatusCode.UNKNOWN))
                raise
            _conclude(span, _code_name(context, grpc.StatusCode.OK))
            return response


def _conclude(span: CallSpan, code: str) -> None:
    call = current_call()
    span.set("rpc.response.status_code", code)
    span.set("keyturn.request_id", call.request_id)
    if lease := call.fields.get(LogField.LEASE):
        span.set("keyturn.lease_id", lease)
    reason = call.fields.get(LogField.REASON)
    if reason:
        span.set("keyturn.reason", str(reason))
    if code in _SERVER_FAULTS:
        span.fail(str(reason or code))
    span.judge()


def _code_name(context: ServicerContext, default: grpc.StatusCode) -> str:
    code: object = context.code()  # None where no handler set it, whatever the stub says
    if code is None:
        return default.name
    return code.name if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN.name
