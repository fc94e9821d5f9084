"""Innermost interceptor: parse requests and serialise responses under the others' guard.

gRPC parses a unary request before any handler runs and serialises a unary response after
it. Left there, bytes of unverified callers reach the parser, and what the parser raises
reaches the caller unaudited, as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from svc_runtime.interceptors.handler_wrapping import (
    Continuation,
    Handler,
    ServicerContext,
    behaviour_of,
    with_behaviour,
)
from svc_runtime.service_error import InvalidFieldError


class MessageCodecInterceptor(grpc.aio.ServerInterceptor):
    """Moves parsing and serialising into the handler."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the handler that takes and returns bytes where gRPC allows it."""
        handler = await continuation(handler_call_details)
        return None if handler is None else _with_codec_inside(handler)


def _with_codec_inside(handler: Handler) -> Handler:
    behaviour = behaviour_of(handler)
    parse = _guarded(handler.request_deserializer)
    serialise = handler.response_serializer

    async def coded(raw_request: Any, context: ServicerContext) -> Any:  # noqa: ANN401  # bytes, or a stream of messages
        request = raw_request if handler.request_streaming else parse(raw_request)
        response = await behaviour(request, context)
        if handler.response_streaming or serialise is None:
            return response
        is_ok = context.code() in {None, 0, grpc.StatusCode.OK}
        return serialise(response) if is_ok else b""  # gRPC sends no message with a failure

    # Messages of a stream pass through context.read() and context.write(), which run inside
    # the handler already.
    return with_behaviour(
        handler,
        coded,
        parse if handler.request_streaming else None,
        serialise if handler.response_streaming else None,
    )


def _guarded(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    def parse(raw: bytes) -> Any:  # noqa: ANN401  # any RPC's request
        if deserializer is None:
            return raw
        try:
            return deserializer(raw)
        except Exception:  # noqa: BLE001, S110  # whatever it is, it may quote the bytes
            pass
        raise InvalidFieldError("request", "must be a message of this method's request type")

    return parse
