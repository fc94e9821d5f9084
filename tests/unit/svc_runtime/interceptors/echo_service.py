"""A service of all four kinds of RPC, its client, and a log that tests can wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import structlog
from structlog.typing import EventDict

from svc_runtime.error_details import reason_of
from svc_runtime.interceptors.handler_wrapping import Handler
from tests.unit.svc_runtime.interceptors import loopback_tls

KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # only its stub is generic
Act = Callable[[Context], Awaitable[None]]


async def do_nothing(_context: Context) -> None:
    pass


def method_of(kind: str) -> str:
    return f"/test.Echo/{kind}"


class EchoService:
    """Echoes bytes; each call awaits `act` after its request, before its last response."""

    def __init__(self, act: Act = do_nothing) -> None:
        self._act = act

    def register(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Handler] = {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(self._unary_unary),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(self._unary_stream),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(self._stream_unary),
            "StreamStream": grpc.stream_stream_rpc_method_handler(self._stream_stream),
        }
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("test.Echo", handlers)]
        )

    async def _unary_unary(self, request: bytes, context: Context) -> bytes:
        await self._act(context)
        return request

    async def _unary_stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        yield request
        await self._act(context)
        yield request

    async def _stream_unary(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        received = [request async for request in requests]
        await self._act(context)
        return b"".join(received)

    async def _stream_stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
        await self._act(context)


@asynccontextmanager
async def serving(
    *interceptors: grpc.aio.ServerInterceptor, act: Act = do_nothing
) -> AsyncIterator[grpc.aio.Channel]:
    """Serve Echo over mTLS; yield a channel of the app `loopback_tls.APP`."""
    server = grpc.aio.server(interceptors=interceptors)
    EchoService(act).register(server)
    port = server.add_secure_port("127.0.0.1:0", loopback_tls.server_credentials())
    await server.start()
    async with loopback_tls.channel_to(port) as channel:
        yield channel
    await server.stop(0)


@dataclass(frozen=True)
class Reply:
    messages: list[bytes]
    code: grpc.StatusCode
    text: str
    trailing: dict[str, str | bytes]
    error: grpc.aio.AioRpcError | None = None

    @property
    def reason(self) -> str | None:
        return reason_of(self.error) if self.error else None


def start(
    channel: grpc.aio.Channel,
    method: str,
    request: bytes = b"ping",
    *,
    seconds: float | None = 20,
    metadata: Sequence[tuple[str, str]] = (),
) -> Any:  # noqa: ANN401  # one of four call types
    """Start a call that sends one request.

    A streamed request goes out in one batch too, which is the same on the wire. Sent apart,
    grpc.aio's client may be refused before it has written, and then reports INTERNAL.
    """
    if method.endswith("Stream"):
        return channel.unary_stream(method, bytes, bytes)(
            request, timeout=seconds, metadata=metadata
        )
    return channel.unary_unary(method, bytes, bytes)(request, timeout=seconds, metadata=metadata)


async def finish(call: Any) -> Reply:  # noqa: ANN401  # one of four call types
    messages: list[bytes] = []
    error = None
    try:
        if hasattr(call, "__aiter__"):
            messages.extend([message async for message in call])
        else:
            messages.append(await call)
    except grpc.aio.AioRpcError as failure:
        error = failure
    return Reply(
        messages=messages,
        code=await call.code(),
        text=await call.details(),
        trailing=dict(await call.trailing_metadata() or ()),
        error=error,
    )


async def call_kind(
    channel: grpc.aio.Channel,
    kind: str,
    *,
    seconds: float | None = 20,
    metadata: Sequence[tuple[str, str]] = (),
) -> Reply:
    return await finish(start(channel, method_of(kind), seconds=seconds, metadata=metadata))


@dataclass
class LogTape:
    """Every log event, in order."""

    events: list[dict[str, Any]] = field(default_factory=list)
    _rpcs: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    def record(self, _logger: object, _name: str, event: EventDict) -> EventDict:
        self.events.append(dict(event))
        if event["event"] == "rpc":
            self._rpcs.put_nowait(dict(event))
        raise structlog.DropEvent

    async def next_rpc(self) -> dict[str, Any]:
        """Return the next audit record, waiting for it."""
        return await asyncio.wait_for(self._rpcs.get(), timeout=20)

    async def only_rpc(self) -> dict[str, Any]:
        """Return the one audit record, waiting for it: a caller may hear of a failure first."""
        if not self.rpcs:
            await self.next_rpc()
        [record] = self.rpcs
        return record

    @property
    def rpcs(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "rpc"]


@contextmanager
def recording() -> Iterator[LogTape]:
    tape = LogTape()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, tape.record])
    try:
        yield tape
    finally:
        structlog.reset_defaults()
