from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]  # the package ships no types
    reflection_pb2,
)

from svc_runtime.access_policy import MethodAccess
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.call_context import REQUEST_ID_KEY
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.spiffe_id import SpiffeId
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    KINDS,
    Act,
    Context,
    EchoService,
    LogTape,
    call_kind,
    do_nothing,
    finish,
    method_of,
    recording,
    start,
)

STRANGER = "spiffe://example.org/svc/stranger"
MAX_BYTES = 64 * 1024
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def _roles_of(spiffe_id: SpiffeId) -> frozenset[str]:
    return frozenset({"app"} if spiffe_id.path.startswith("/app/") else ())


def _build(act: Act = do_nothing, address: str = "127.0.0.1:0") -> tuple[grpc.aio.Server, int]:
    roles = frozenset({"app"})
    return build_server(
        listener=Listener(
            address=address,
            credentials=loopback_tls.server_credentials(),
            authenticator=MTLSAuthenticator(_roles_of),
            access_policy={method_of(kind): MethodAccess(roles) for kind in KINDS},
        ),
        status_table={},
        error_domain="test.keyturn",
        max_deadline_seconds=30,
        max_message_bytes=MAX_BYTES,
        register=EchoService(act).register,
        reflection_of=["grpc.health.v1.Health"],
    )


@asynccontextmanager
async def _running(act: Act = do_nothing) -> AsyncIterator[int]:
    server, port = _build(act)
    await server.start()
    yield port
    await server.stop(0)


@pytest.fixture(name="tape", autouse=True)
def _tape() -> Iterator[LogTape]:
    with recording() as tape:
        yield tape


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_with_the_role_and_a_deadline_is_served(kind: str) -> None:
    async with _running() as port, loopback_tls.channel_to(port) as channel:
        reply = await call_kind(channel, kind)

    assert reply.code == grpc.StatusCode.OK
    assert REQUEST_ID_KEY in reply.trailing


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stranger_is_refused_and_recorded(kind: str, tape: LogTape) -> None:
    async with _running() as port, loopback_tls.channel_to(port, (STRANGER,)) as channel:
        reply = await call_kind(channel, kind)

    assert (reply.code, reply.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert (await tape.only_rpc())["caller"] == STRANGER


@pytest.mark.parametrize("kind", KINDS)
async def test_a_missing_deadline_is_refused(kind: str) -> None:
    async with _running() as port, loopback_tls.channel_to(port) as channel:
        reply = await call_kind(channel, kind, seconds=None)

    assert reply.code == grpc.StatusCode.INVALID_ARGUMENT
    assert reply.text == "grpc-timeout: a deadline is required, at most 30 seconds"


async def test_a_connection_without_client_certificate_is_refused() -> None:
    async with _running() as port, loopback_tls.channel_without_certificate(port) as channel:
        reply = await call_kind(channel, "UnaryUnary")

    assert reply.code == grpc.StatusCode.UNAVAILABLE


async def test_a_message_above_the_limit_is_refused(tape: LogTape) -> None:
    async with _running() as port, loopback_tls.channel_to(port) as channel:
        reply = await finish(start(channel, method_of("UnaryUnary"), b"x" * (MAX_BYTES + 1)))
        await tape.next_rpc()

    assert reply.code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_two_tokens_of_16_kib_fit_and_what_is_much_longer_does_not(tape: LogTape) -> None:
    tokens = [("authorization", "Bearer " + "a" * 16 * 1024), ("x-token", "b" * 16 * 1024)]
    async with _running() as port, loopback_tls.channel_to(port) as channel:
        for _ in range(20):  # where the bounds are too narrow, some calls pass by chance
            reply = await call_kind(channel, "UnaryUnary", metadata=tokens)
            assert reply.code == grpc.StatusCode.OK
            await tape.next_rpc()
        more = [*tokens, ("x-more", "c" * 16 * 1024)]
        reply = await call_kind(channel, "UnaryUnary", metadata=more)

    assert reply.code == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_crash_tells_nobody_what_it_said(kind: str, tape: LogTape) -> None:
    async def act(_context: Context) -> None:
        raise RuntimeError("canary-text")

    async with _running(act) as port, loopback_tls.channel_to(port) as channel:
        reply = await call_kind(channel, kind)
        await tape.only_rpc()

    assert (reply.code, reply.text) == (grpc.StatusCode.INTERNAL, "internal error")
    assert "canary" not in f"{reply.error!r} {reply.trailing} {tape.events}"
    assert [event["event"] for event in tape.events] == ["internal_error", "rpc"]


@pytest.mark.parametrize("version", REFLECTION)
async def test_reflection_tells_what_is_served(version: str) -> None:
    async with _running() as port, loopback_tls.channel_to(port) as channel:
        reply = await _reflect(channel, version)

    assert reply == ["grpc.health.v1.Health"]


@pytest.mark.parametrize("version", REFLECTION)
async def test_reflection_tells_strangers_nothing(version: str) -> None:
    async with _running() as port, loopback_tls.channel_to(port, (STRANGER,)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _reflect(channel, version)

    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def _reflect(channel: grpc.aio.Channel, service: str) -> list[str]:
    call = channel.unary_stream(  # one batch, as in echo_service.start
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    responses = [response async for response in call(request)]
    return [service.name for service in responses[0].list_services_response.service]


async def test_a_call_in_flight_survives_a_graceful_stop() -> None:
    is_reached, may_go = asyncio.Event(), asyncio.Event()

    async def act(_context: Context) -> None:
        is_reached.set()
        await may_go.wait()

    server, port = _build(act)
    await server.start()
    async with loopback_tls.channel_to(port) as channel:
        call = start(channel, method_of("UnaryUnary"))
        await is_reached.wait()
        stopping = asyncio.create_task(server.stop(20))
        async with loopback_tls.channel_to(port) as late:
            refused = await call_kind(late, "UnaryUnary")
        may_go.set()
        reply = await finish(call)
        await stopping

    assert refused.code == grpc.StatusCode.UNAVAILABLE
    assert reply.code == grpc.StatusCode.OK


async def test_a_port_in_use_is_an_error() -> None:
    server, port = _build()
    await server.start()

    with pytest.raises(RuntimeError, match="bind"):
        _build(address=f"127.0.0.1:{port}")
    await server.stop(0)


async def test_a_server_that_a_malformed_method_name_broke_says_so() -> None:
    """Pin a flaw of grpc.aio: one method name that is not UTF-8 ends the whole server.

    It happens before any interceptor runs. The process can only notice and restart, so
    `wait_for_termination` must raise. When this test fails, gRPC has been mended.
    """
    server, port = _build()
    await server.start()
    async with loopback_tls.channel_to(port) as channel:
        not_utf8: Any = b"/test.Echo/\xff"
        reply = await finish(channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=20))

    assert reply.code == grpc.StatusCode.CANCELLED
    with pytest.raises(UnicodeDecodeError):
        await server.wait_for_termination(timeout=20)
