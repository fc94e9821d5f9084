"""Innermost interceptor: read requests and serialise responses under the others' guard.

gRPC receives and parses a unary request before any handler runs, and serialises a unary response
after it. Left there, unverified callers fill the memory with requests that nobody will serve, or
that never end, their bytes reach the parser, and what the parser raises reaches the caller
unaudited, as text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc

from svc_runtime.interceptors.handler_wrapping import (
    MAX_WRAPPED,
    Continuation,
    Handler,
    ServicerContext,
    behaviour_of,
)
from svc_runtime.service_error import InvalidFieldError


class MessageCodecInterceptor(grpc.aio.ServerInterceptor):
    """Moves receiving, parsing and serialising into the handler."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the handler that takes and returns bytes where gRPC allows it."""
        handler = await continuation(handler_call_details)
        return None if handler is None else _with_codec_inside(handler)


@lru_cache(MAX_WRAPPED)
def _with_codec_inside(handler: Handler) -> Handler:
    behaviour = behaviour_of(handler)
    parse = _guarded(handler.request_deserializer)
    serialise = handler.response_serializer

    async def coded(requests: Any, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's messages
        request = requests if handler.request_streaming else parse(await _one_from(context))
        response = await behaviour(request, context)
        if handler.response_streaming or serialise is None:
            return response
        is_ok = context.code() in {None, 0, grpc.StatusCode.OK}
        return serialise(response) if is_ok else b""  # gRPC sends no message with a failure

    # Messages of a stream pass through context.read() and context.write(), which run inside
    # the handler already. A unary request is read so, too: on the wire it is a stream of one.
    make = (
        grpc.stream_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.stream_unary_rpc_method_handler
    )
    return make(
        coded,
        parse if handler.request_streaming else None,
        serialise if handler.response_streaming else None,
    )


async def _one_from(context: ServicerContext) -> bytes:
    raw_request = await context.read()
    if not isinstance(raw_request, bytes):  # the caller has ended its side
        raise InvalidFieldError("request", "must be one message")
    return raw_request


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
