from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.client_tracing import tracing_interceptors
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.interceptors.tracing import TracingInterceptor
from svc_runtime.service_error import CallerNotAllowedError
from svc_runtime.telemetry.spans import server_span
from tests.span_tape import SpanTape, taping
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Act,
    Context,
    EchoService,
    do_nothing,
    method_of,
    recording,
)

SECONDS = 10.0


@asynccontextmanager
async def _connected(act: Act = do_nothing) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(
        interceptors=[
            AuditInterceptor(SystemClock()),
            TracingInterceptor(),
            ErrorStatusInterceptor({}, "test.keyturn"),
        ]
    )
    EchoService(act).register(server)
    port = server.add_secure_port("127.0.0.1:0", loopback_tls.server_credentials())
    await server.start()
    credentials = grpc.ssl_channel_credentials(
        loopback_tls.ca_pem(), *loopback_tls.issue((loopback_tls.APP,))
    )
    async with grpc.aio.secure_channel(
        f"localhost:{port}", credentials, interceptors=tracing_interceptors()
    ) as channel:
        yield channel
    await server.stop(0)


async def _call(channel: grpc.aio.Channel, kind: str, **options: Any) -> None:  # noqa: ANN401  # gRPC's
    """Make one call of *kind* to its end."""

    async def requests() -> AsyncIterator[bytes]:
        yield b"one"

    options = {"timeout": SECONDS, **options}
    multicallables: dict[str, Any] = {
        "UnaryUnary": channel.unary_unary,
        "UnaryStream": channel.unary_stream,
        "StreamUnary": channel.stream_unary,
        "StreamStream": channel.stream_stream,
    }
    request = requests() if kind.startswith("Stream") else b"one"
    call = multicallables[kind](method_of(kind))(request, **options)
    if kind.endswith("Stream"):
        async for _ in call:
            pass
    else:
        await call


async def _spans(tape: SpanTape, count: int) -> list[ReadableSpan]:
    """Return the spans once there are *count*: that of a client ends a moment after its call."""
    async with asyncio.timeout(SECONDS):
        while len(tape.spans) < count:  # noqa: ASYNC110 - the SDK tells nobody
            await asyncio.sleep(0.001)
    return tape.spans


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_call_is_a_span_of_its_caller_and_below_it_one_of_its_server(
    kind: str,
) -> None:
    with taping() as tape:
        async with _connected() as channel:
            with server_span("outer", ()):
                await _call(channel, kind)
            spans = {span.kind: span for span in await _spans(tape, 3) if span.name != "outer"}

    client, server = spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert client.name == server.name == f"test.Echo/{kind}"
    assert client.context is not None
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert (client.attributes or {})["rpc.response.status_code"] == "OK"
    assert (server.attributes or {})["rpc.response.status_code"] == "OK"
    assert not (server.attributes or {}).keys() & {"error.type"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refusal_is_told_by_code_and_reason_and_is_no_fault_of_the_server(
    kind: str,
) -> None:
    async def refuse(_context: Context) -> None:
        raise CallerNotAllowedError

    with taping() as tape:
        async with _connected(refuse) as channel:
            with server_span("outer", ()), pytest.raises(grpc.aio.AioRpcError):
                await _call(channel, kind)
            spans = {span.kind: span for span in await _spans(tape, 3) if span.name != "outer"}

    server, client = spans[SpanKind.SERVER].attributes or {}, spans[SpanKind.CLIENT].attributes
    assert server["rpc.response.status_code"] == "PERMISSION_DENIED"
    assert server["keyturn.reason"] == CallerNotAllowedError.reason
    assert "error.type" not in server
    assert (client or {})["error.type"] == "PERMISSION_DENIED"


async def test_a_fault_is_told_without_its_text() -> None:
    async def fail(_context: Context) -> None:
        raise ValueError("sk-canary-0123456789abcdef")

    with taping() as tape:
        async with _connected(fail) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await _call(channel, "UnaryUnary")
            (server,) = await _spans(tape, 1)

    assert (server.attributes or {})["error.type"] == "INTERNAL"
    assert "canary" not in server.to_json()


async def test_a_call_that_its_caller_cancels_ends_both_spans() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hold(_context: Context) -> None:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    with taping() as tape:
        async with _connected(hold) as channel:
            with server_span("outer", ()):
                calling = asyncio.create_task(_call(channel, "UnaryUnary"))
                await arrived.wait()
                calling.cancel()
                await asyncio.wait([calling])
            await gone.wait()
            spans = {span.kind: span for span in await _spans(tape, 3) if span.name != "outer"}

    codes = {(span.attributes or {})["rpc.response.status_code"] for span in spans.values()}
    assert codes == {"CANCELLED"}


async def test_a_call_that_cannot_begin_ends_its_span() -> None:
    with taping() as tape:
        async with _connected() as channel:
            await channel.close()
            with server_span("outer", ()), pytest.raises(grpc.aio.UsageError):
                await _call(channel, "UnaryUnary")
            client = next(span for span in await _spans(tape, 2) if span.name != "outer")

    assert (client.attributes or {})["error.type"] == "UsageError"


async def test_the_audit_record_bears_the_id_of_the_sampled_trace() -> None:
    parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with recording() as tape, taping():
        async with _connected() as channel:
            await _call(channel, "UnaryUnary", metadata=(parent,))
        record = await tape.next_rpc()

    assert record["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("value", ["", "nonsense", "00-0-0-01", "=;,"])
async def test_a_malformed_context_changes_nothing_for_its_caller(value: str) -> None:
    with taping() as tape:
        async with _connected() as channel:
            await _call(channel, "UnaryUnary", metadata=(("traceparent", value),))
        (server,) = await _spans(tape, 1)

    assert server.parent is None


async def test_without_a_tracer_a_channel_has_no_interceptor() -> None:
    assert tracing_interceptors() == ()
