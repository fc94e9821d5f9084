from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from svc_runtime.call_context import annotate
from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.handler_wrapping import (
    Handler,
    Proceed,
    WrappingInterceptor,
    wrap_handler,
)
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    call_kind,
    method_of,
    recording,
    serving,
)


class _Counting(WrappingInterceptor):
    def __init__(self) -> None:
        self.calls = 0

    async def around(self, proceed: Proceed, context: Context) -> Any:  # noqa: ANN401  # as its base
        del context
        self.calls += 1
        return await proceed()


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        ("UnaryUnary", [b"ping"]),
        ("UnaryStream", [b"ping", b"ping"]),
        ("StreamUnary", [b"ping"]),
        ("StreamStream", [b"ping"]),
    ],
)
async def test_every_kind_is_wrapped_and_works_as_before(kind: str, messages: list[bytes]) -> None:
    counting = _Counting()

    async with serving(counting, counting) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.messages, counting.calls) == (messages, 2)


async def test_a_stream_of_requests_arrives_whole() -> None:
    sent = [b"one", b"two", b"three"]

    async with serving(_Counting()) as channel:
        to_unary = channel.stream_unary(method_of("StreamUnary"), bytes, bytes)
        to_stream = channel.stream_stream(method_of("StreamStream"), bytes, bytes)
        joined = await to_unary(iter(sent), timeout=20)
        echoed = [message async for message in to_stream(iter(sent), timeout=20)]

    assert (joined, echoed) == (b"onetwothree", sent)


def _sync_unary(_request: Any, _context: Any) -> bytes:  # noqa: ANN401  # a handler of the threaded stack
    return b""


def _sync_stream(_request: Any, _context: Any) -> Iterator[bytes]:  # noqa: ANN401  # as above
    yield b""


async def _never(_proceed: Proceed, _context: Context) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    "handler",
    [
        grpc.unary_unary_rpc_method_handler(_sync_unary),
        grpc.unary_stream_rpc_method_handler(_sync_stream),
        grpc.stream_unary_rpc_method_handler(_sync_unary),
        grpc.stream_stream_rpc_method_handler(_sync_stream),
    ],
    ids=KINDS,
)
def test_a_handler_that_is_not_asynchronous_is_refused(handler: Handler) -> None:
    with pytest.raises(TypeError, match="must be a coroutine function or an async generator"):
        wrap_handler(handler, _never)


async def test_a_cut_stream_ends_in_the_context_of_its_own_call() -> None:
    has_begun = asyncio.Event()

    async def stream(_request: bytes, _context: Context) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            has_begun.set()
            await asyncio.Event().wait()
        finally:
            annotate(outcome="cut")

    handler: Handler = grpc.unary_stream_rpc_method_handler(stream)
    server = grpc.aio.server(interceptors=[AuditInterceptor(SystemClock())])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", {"S": handler})])
    port = server.add_secure_port("127.0.0.1:0", loopback_tls.server_credentials())
    await server.start()

    with recording() as tape:
        async with loopback_tls.channel_to(port) as channel:
            call = channel.unary_stream("/t.T/S", bytes, bytes)(b"", timeout=20)
            assert await call.read() == b"first"
            await has_begun.wait()
            call.cancel()
            record = await tape.next_rpc()
        await server.stop(0)

    assert (record["code"], record["outcome"]) == ("CANCELLED", "cut")


async def test_a_handler_in_reader_writer_style_works() -> None:
    async def stream(_request: bytes, context: Context) -> None:
        await context.write(b"one")
        await context.write(b"two")

    handler: Handler = grpc.unary_stream_rpc_method_handler(stream)
    server = grpc.aio.server(interceptors=[_Counting()])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t.T", {"S": handler})])
    port = server.add_secure_port("127.0.0.1:0", loopback_tls.server_credentials())
    await server.start()

    async with loopback_tls.channel_to(port) as channel:
        call = channel.unary_stream("/t.T/S", bytes, bytes)(b"", timeout=20)
        messages = [message async for message in call]
    await server.stop(0)

    assert messages == [b"one", b"two"]


async def _first(_request: bytes, _context: Context) -> bytes:
    return b"first"


async def _second(_request: bytes, _context: Context) -> bytes:
    return b"second"


async def test_a_method_is_wrapped_once_for_each_interceptor() -> None:
    one, other = _Counting(), _Counting()
    handlers: list[Handler] = [grpc.unary_unary_rpc_method_handler(m) for m in (_first, _second)]
    served = iter([handlers[0], handlers[0], handlers[1], handlers[0]])

    async def next_served(_details: Any) -> Handler:  # noqa: ANN401  # looked at by nobody
        return next(served)

    details: Any = None
    wrapped: list[Any] = [
        await interceptor.intercept_service(next_served, details)
        for interceptor in (one, one, one, other)
    ]

    assert wrapped[0] is wrapped[1]
    answers = [await handler.unary_unary(b"", None) for handler in wrapped]
    assert answers == [b"first", b"first", b"second", b"first"]
    assert (one.calls, other.calls) == (3, 1)
