"""The gateway's gRPC server over a real socket, with everything beyond the relay faked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message

from gateway_svc.domain.key_name import KeyChoice, KeyName
from gateway_svc.domain.roles import AppIds
from gateway_svc.rpc.access_policy import APP_PORT
from gateway_svc.rpc.app_calls import AppCalls
from gateway_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from gateway_svc.rpc.services import SERVICES, add_services
from svc_runtime.authentication import MTLSAuthenticator
from svc_runtime.grpc_server import Listener, build_server
from svc_runtime.spiffe_id import SpiffeId
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.relay_stage import Stage
from tests.unit.svc_runtime.interceptors import loopback_tls

SECONDS = 20
EVENT_STREAM = (("content-type", "text/event-stream; charset=utf-8"),)
_APP = SpiffeId.parse(loopback_tls.APP)
_KEYS = KeyChoice({_APP: KeyName.parse("users/alice/keys/openai")})


@asynccontextmanager
async def serving(upstream: FakeUpstream) -> AsyncIterator[grpc.aio.Channel]:
    """Serve every service over *upstream*; enter with a channel of an app."""
    relay = Stage(upstream).relay
    app_ids = AppIds(loopback_tls.APP.rpartition("/")[0] + "/")
    server, port = build_server(
        listener=Listener(
            address="127.0.0.1:0",
            credentials=loopback_tls.server_credentials(),
            authenticator=MTLSAuthenticator(app_ids.roles_of),
            access_policy=APP_PORT,
        ),
        status_table=ERROR_STATUS,
        error_domain=ERROR_DOMAIN,
        max_deadline_seconds=SECONDS,
        max_message_bytes=1024 * 1024,
        register=lambda server: add_services(server, relay, AppCalls(_KEYS)),
        reflection_of=SERVICES,
    )
    await server.start()
    async with loopback_tls.channel_to(port) as channel:
        yield channel
    await server.stop(0)


async def call(rpc: Any, *requests: Message) -> Any:  # noqa: ANN401 - any RPC that answers once
    """Make a call that has one response; several *requests* are streamed."""
    return await rpc(iter(requests) if _streams(rpc) else requests[0], timeout=SECONDS)


async def events(rpc: Any, *requests: Message) -> list[Any]:  # noqa: ANN401 - any streaming RPC
    """Make a call that streams its responses; return all of them."""
    sent = iter(requests) if _streams(rpc) else requests[0]
    return [response async for response in rpc(sent, timeout=SECONDS)]


def _streams(rpc: object) -> bool:
    kinds = (grpc.aio.StreamUnaryMultiCallable, grpc.aio.StreamStreamMultiCallable)
    return isinstance(rpc, kinds)


def sse(*data: str) -> Iterator[bytes]:
    """Yield one server-sent event for each of *data*."""
    return (f"data: {datum}\n\n".encode() for datum in data)
