"""Spans of the RPCs that this process makes; the trace goes along with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc

from svc_runtime.telemetry.spans import (
    NO_SPAN,
    CallSpan,
    client_span,
    error_type_of,
    is_tracing,
)
from svc_runtime.telemetry.trace_context import headers_of

_Details: TypeAlias = grpc.aio.ClientCallDetails
_Continuation: TypeAlias = Callable[[_Details, Any], Awaitable[Any]]

_concluding: Final[set[asyncio.Task[None]]] = set()


def tracing_interceptors() -> tuple[grpc.aio.ClientInterceptor, ...]:
    """Return what traces the calls of a channel; nothing in a process that traces nothing.

    One for each of the four kinds: grpc.aio takes an interceptor of several kinds for one of the
    first only.
    """
    if not is_tracing():
        return ()
    return (_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream())


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: _Continuation,
        client_call_details: _Details,
        request: Any,  # noqa: ANN401  # any RPC's
    ) -> Any:  # noqa: ANN401  # as above
        return await _traced(continuation, client_call_details, request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: _Continuation,
        client_call_details: _Details,
        request: Any,  # noqa: ANN401  # any RPC's
    ) -> Any:  # noqa: ANN401  # as above
        return await _traced(continuation, client_call_details, request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: _Continuation,
        client_call_details: _Details,
        request_iterator: Any,  # noqa: ANN401  # any RPC's
    ) -> Any:  # noqa: ANN401  # as above
        return await _traced(continuation, client_call_details, request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: _Continuation,
        client_call_details: _Details,
        request_iterator: Any,  # noqa: ANN401  # any RPC's
    ) -> Any:  # noqa: ANN401  # as above
        return await _traced(continuation, client_call_details, request_iterator)


async def _traced(continuation: _Continuation, details: _Details, request: Any) -> Any:  # noqa: ANN401  # any RPC's
    """Begin the call, and its span, which ends with the call."""
    method = _text(details.method).removeprefix("/")
    span = client_span(method)
    try:
        call = await continuation(_with_trace(details, span), request)
    except BaseException as error:
        span.fail(error_type_of(error))
        span.end()
        raise
    if span is NO_SPAN:
        return call
    span.set("rpc.system.name", "grpc")
    span.set("rpc.method", method)

    def conclude(call: grpc.aio.Call) -> None:
        task = asyncio.ensure_future(_conclude(span, call))
        _concluding.add(task)
        task.add_done_callback(_concluding.discard)

    call.add_done_callback(conclude)
    return call


async def _conclude(span: CallSpan, call: grpc.aio.Call) -> None:
    code = (await call.code()).name  # at hand: the call is done
    span.set("rpc.response.status_code", code)
    if code != grpc.StatusCode.OK.name:
        span.fail(code)
    span.end()


def _with_trace(details: _Details, span: CallSpan) -> _Details:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *headers_of(span.context))
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


def _text(method: str | bytes) -> str:
    """Return *method*, which grpc.aio hands over as bytes, against its own types."""
    return method.decode() if isinstance(method, bytes) else method
