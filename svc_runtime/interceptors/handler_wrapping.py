"""Wrap a handler of any of the four kinds, or refuse to.

An interceptor that forgets a kind leaves its RPCs unguarded, so all of them come
through here, and a kind that is not known raises.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias

import grpc

ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # only its stub is generic
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # only its stub is generic
Behaviour: TypeAlias = Callable[[Any, ServicerContext], Awaitable[Any]]
Proceed: TypeAlias = Callable[[], Awaitable[Any]]
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

# By (request_streaming, response_streaming): attribute of the behaviour, maker of the handler.
_KINDS: dict[tuple[bool, bool], tuple[str, Callable[..., Handler]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


# More than all methods of a process times its interceptors. gRPC asks for each call anew, and a
# method's handler is the same object each time.
MAX_WRAPPED: Final = 2048


class WrappingInterceptor(grpc.aio.ServerInterceptor, ABC):
    """Runs `around` around every call."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Return the wrapped handler, None for a method that nobody serves."""
        handler = await continuation(handler_call_details)
        return None if handler is None else _wrapped_once(handler, self.around)

    @abstractmethod
    async def around(self, proceed: Proceed, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's response
        """Serve one call: await `proceed()` and return its result, or raise."""


def wrap_handler(
    handler: Handler, around: Callable[[Proceed, ServicerContext], Awaitable[Any]]
) -> Handler:
    """Return *handler* with *around* in charge of when and whether it runs.

    Raises:
        TypeError: *handler* is not asynchronous.
    """
    behaviour = behaviour_of(handler)

    async def wrapped(request: Any, context: ServicerContext) -> Any:  # noqa: ANN401  # any RPC's messages
        return await around(partial(behaviour, request, context), context)

    return with_behaviour(
        handler, wrapped, handler.request_deserializer, handler.response_serializer
    )


@lru_cache(MAX_WRAPPED)
def _wrapped_once(
    handler: Handler, around: Callable[[Proceed, ServicerContext], Awaitable[Any]]
) -> Handler:
    return wrap_handler(handler, around)


def behaviour_of(handler: Handler) -> Behaviour:
    """Return what *handler* does, as a coroutine function; responses of a stream it writes itself.

    One form for all kinds keeps interceptors simple, and it ends a cut stream in order:
    a generator that gRPC iterates is closed by the garbage collector, in another task,
    where its `finally` would find another call's context.

    Raises:
        TypeError: *handler* is not asynchronous.
    """
    attribute, _ = _KINDS[handler.request_streaming, handler.response_streaming]
    behaviour: Callable[..., Any] = getattr(handler, attribute)
    if inspect.iscoroutinefunction(behaviour):
        return behaviour
    if not handler.response_streaming or not inspect.isasyncgenfunction(behaviour):
        raise TypeError("an RPC handler must be a coroutine function or an async generator")

    async def write_all(request: Any, context: ServicerContext) -> None:  # noqa: ANN401  # any RPC's messages
        async with aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return write_all


def with_behaviour(
    handler: Handler,
    behaviour: Behaviour,
    request_deserializer: Callable[[bytes], Any] | None,
    response_serializer: Callable[[Any], bytes] | None,
) -> Handler:
    """Return a handler of the same kind as *handler* that does *behaviour*."""
    _, make = _KINDS[handler.request_streaming, handler.response_streaming]
    return make(behaviour, request_deserializer, response_serializer)
