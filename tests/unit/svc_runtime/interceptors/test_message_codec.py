from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import pytest
from grpc_health.v1.health_pb2 import (  # type: ignore[import-untyped]  # the package ships no types
    HealthCheckRequest,
    HealthCheckResponse,
)

from svc_runtime.clock import SystemClock
from svc_runtime.error_details import field_violation_of
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.authorization import AuthorizationInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.interceptors.message_codec import MessageCodecInterceptor
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Context,
    LogTape,
    Reply,
    finish,
    method_of,
    recording,
    start,
)
from tests.unit.svc_runtime.interceptors.test_authorization import APPS

GOOD = HealthCheckRequest(service="x").SerializeToString()
SECONDS = 20
MALFORMED = b"\xff\xff\xff canary-bytes"

_Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"  # only its stub is generic


class _Service:
    """Answers `SERVING`, or whatever object it is given, to requests of any kind."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def unary(self, request: Any, context: Context) -> Any:  # noqa: ANN401  # any of both
        del context
        await _read(request)
        return self._answer

    async def stream(self, request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401  # any of both
        del context
        await _read(request)
        yield self._answer


async def _read(request: Any) -> None:  # noqa: ANN401  # any of both
    if hasattr(request, "__aiter__"):
        async for message in request:
            assert message.service == "x"
    else:
        assert request.service == "x"


@asynccontextmanager
async def _serving(
    kind: str,
    *,
    answer: object = HealthCheckResponse(status=HealthCheckResponse.SERVING),
    extra: tuple[grpc.aio.ServerInterceptor, ...] = (),
) -> AsyncIterator[grpc.aio.Channel]:
    service = _Service(answer)
    makers: dict[str, Any] = {
        "UnaryUnary": (grpc.unary_unary_rpc_method_handler, service.unary),
        "UnaryStream": (grpc.unary_stream_rpc_method_handler, service.stream),
        "StreamUnary": (grpc.stream_unary_rpc_method_handler, service.unary),
        "StreamStream": (grpc.stream_stream_rpc_method_handler, service.stream),
    }
    make, behaviour = makers[kind]
    handler = make(behaviour, HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString)
    outer = (AuditInterceptor(SystemClock()), ErrorStatusInterceptor({}, "test.keyturn"))
    server = grpc.aio.server(interceptors=[*outer, *extra, MessageCodecInterceptor()])
    generic = grpc.method_handlers_generic_handler("test.Echo", {kind: handler})
    server.add_generic_rpc_handlers([generic])
    port = server.add_secure_port("127.0.0.1:0", loopback_tls.server_credentials())
    await server.start()
    async with loopback_tls.channel_to(port) as channel:
        yield channel
    await server.stop(0)


async def _call(
    kind: str,
    request: bytes,
    *,
    answer: object = HealthCheckResponse(status=HealthCheckResponse.SERVING),
    extra: tuple[grpc.aio.ServerInterceptor, ...] = (),
) -> Reply:
    async with _serving(kind, answer=answer, extra=extra) as channel:
        return await finish(start(channel, method_of(kind), request))


@pytest.fixture(name="tape", autouse=True)
def _tape() -> Iterator[LogTape]:
    with recording() as tape:
        yield tape


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_are_parsed_and_serialised(kind: str) -> None:
    reply = await _call(kind, GOOD)

    assert reply.code == grpc.StatusCode.OK
    assert [HealthCheckResponse.FromString(m).status for m in reply.messages] == [1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_that_does_not_parse_is_a_typed_error(kind: str, tape: LogTape) -> None:
    reply = await _call(kind, MALFORMED)

    assert reply.code == grpc.StatusCode.INVALID_ARGUMENT
    assert reply.error is not None
    assert field_violation_of(reply.error) == (
        "request",
        "must be a message of this method's request type",
    )
    assert "canary" not in f"{reply.error!r} {tape.events}"
    assert (await tape.only_rpc())["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_response_that_does_not_serialise_is_an_internal_error(
    kind: str, tape: LogTape
) -> None:
    reply = await _call(kind, GOOD, answer="canary answer of a wrong type")

    assert (reply.code, reply.text) == (grpc.StatusCode.INTERNAL, "internal error")
    assert "canary" not in f"{reply.error!r} {tape.events}"
    assert (await tape.only_rpc())["code"] == "INTERNAL"


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_parsed_for_a_caller_who_may_not_call(kind: str) -> None:
    reply = await _call(kind, MALFORMED, extra=(AuthorizationInterceptor(APPS, {}),))

    assert reply.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_who_may_not_call_is_told_so_before_it_has_sent_anything(kind: str) -> None:
    async with _serving(kind, extra=(AuthorizationInterceptor(APPS, {}),)) as channel:
        call: _Call = channel.stream_stream(method_of(kind))(timeout=SECONDS)
        assert await call.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("kind", ["UnaryUnary", "UnaryStream"])
async def test_a_call_without_a_request_is_a_typed_error(kind: str) -> None:
    async with _serving(kind) as channel:
        call: _Call = channel.stream_stream(method_of(kind))(timeout=SECONDS)
        await call.done_writing()
        assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
