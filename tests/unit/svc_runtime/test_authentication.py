from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from svc_runtime.access_policy import MethodAccess
from svc_runtime.authentication import (
    Authenticator,
    BearerAuthenticator,
    MTLSAuthenticator,
    source_ip_of,
)
from svc_runtime.call_context import current_call
from svc_runtime.caller import Caller
from svc_runtime.clock import SystemClock
from svc_runtime.interceptors.audit import AuditInterceptor
from svc_runtime.interceptors.authorization import AuthorizationInterceptor
from svc_runtime.interceptors.error_status import ErrorStatusInterceptor
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError
from svc_runtime.spiffe_id import SpiffeId
from tests.unit.svc_runtime.interceptors import loopback_tls
from tests.unit.svc_runtime.interceptors.echo_service import (
    Context,
    EchoService,
    Reply,
    call_kind,
    method_of,
    recording,
)

POLICY = {method_of("UnaryUnary"): MethodAccess(frozenset({"app"}))}
TOKEN = "eyJ.canary.sig-_~+/=="


class _Stage:
    """A server that authenticates in one way, and the callers that it let in."""

    def __init__(self, port: int, callers: list[Caller | None]) -> None:
        self.port = port
        self.callers = callers


@asynccontextmanager
async def _stage(
    authenticator: Authenticator, credentials: grpc.ServerCredentials
) -> AsyncIterator[_Stage]:
    callers: list[Caller | None] = []

    async def act(_context: Context) -> None:
        callers.append(current_call().caller)

    server = grpc.aio.server(
        interceptors=[
            AuditInterceptor(SystemClock()),
            ErrorStatusInterceptor({}, "test.keyturn"),
            AuthorizationInterceptor(authenticator, POLICY),
        ]
    )
    EchoService(act).register(server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield _Stage(port, callers)
    await server.stop(0)


def _roles_of(spiffe_id: SpiffeId) -> frozenset[str]:
    return frozenset({"app"} if spiffe_id.path.startswith("/app/") else ())


async def _verify(token: SecretBytes) -> Caller:
    if token != SecretBytes(TOKEN.encode()):
        raise CallerUnverifiedError
    return Caller("alice", frozenset({"app"}), groups=("payments",), token=token)


async def _call_with_certificate(
    uris: Sequence[str], dns: Sequence[str] = ()
) -> tuple[Reply, _Stage]:
    credentials = loopback_tls.server_credentials()
    async with (
        _stage(MTLSAuthenticator(_roles_of), credentials) as stage,
        loopback_tls.channel_to(stage.port, uris, dns) as channel,
    ):
        return await call_kind(channel, "UnaryUnary"), stage


async def _call_with_metadata(metadata: Sequence[tuple[str, str]]) -> tuple[Reply, _Stage]:
    credentials = loopback_tls.server_credentials(needs_client_certificate=False)
    async with (
        _stage(BearerAuthenticator(_verify), credentials) as stage,
        loopback_tls.channel_without_certificate(stage.port) as channel,
    ):
        return await call_kind(channel, "UnaryUnary", metadata=metadata), stage


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with recording():
        yield


@pytest.mark.parametrize("dns", [(), ("billing.example.org",)], ids=["alone", "beside a DNS name"])
async def test_a_workload_is_known_by_its_spiffe_id(dns: Sequence[str]) -> None:
    reply, stage = await _call_with_certificate((loopback_tls.APP,), dns)

    assert reply.code == grpc.StatusCode.OK
    expected = Caller(loopback_tls.APP, frozenset({"app"}), source_ip="127.0.0.1")
    assert stage.callers == [expected]


@pytest.mark.parametrize(
    ("uris", "dns"),
    [
        ((), ()),
        ((), (loopback_tls.APP,)),
        ((), ("billing.example.org",)),
        (("https://example.org/app/billing",), ()),
        ((loopback_tls.APP, "spiffe://example.org/app/other"), ()),
        ((loopback_tls.APP, "https://example.org/"), ()),
        (("spiffe://example.org/app/../gateway",), ()),
        (("spiffe://example.org",), ()),
    ],
    ids=[
        "no name",
        "SPIFFE id as DNS name",
        "DNS name",
        "another URI",
        "two SPIFFE ids",
        "a second URI",
        "dot segment",
        "no path",
    ],
)
async def test_a_certificate_without_exactly_one_spiffe_id_proves_nothing(
    uris: Sequence[str], dns: Sequence[str]
) -> None:
    reply, stage = await _call_with_certificate(uris, dns)

    assert (reply.code, reply.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED")
    assert stage.callers == []


async def test_a_workload_without_a_role_is_known_but_not_allowed() -> None:
    reply, _ = await _call_with_certificate(("spiffe://example.org/svc/other",))

    assert reply.code == grpc.StatusCode.PERMISSION_DENIED


async def test_a_connection_without_certificate_proves_nothing() -> None:
    credentials = loopback_tls.server_credentials(needs_client_certificate=False)
    async with (
        _stage(MTLSAuthenticator(_roles_of), credentials) as stage,
        loopback_tls.channel_without_certificate(stage.port) as channel,
    ):
        reply = await call_kind(channel, "UnaryUnary")

    assert reply.code == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "authenticator",
    [MTLSAuthenticator(_roles_of), BearerAuthenticator(_verify)],
    ids=["mtls", "bearer"],
)
async def test_a_connection_without_tls_proves_nothing(authenticator: Authenticator) -> None:
    credentials = grpc.insecure_server_credentials()
    async with (
        _stage(authenticator, credentials) as stage,
        grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}") as channel,
    ):
        metadata = [("authorization", f"Bearer {TOKEN}")]
        reply = await call_kind(channel, "UnaryUnary", metadata=metadata)

    assert reply.code == grpc.StatusCode.UNAUTHENTICATED


class _OldConnection:
    """A call over TLS 1.2, which grpc's Python client cannot be told to speak."""

    def auth_context(self) -> dict[str, list[bytes]]:
        return {
            "peer_spiffe_id": [loopback_tls.APP.encode()],
            "ssl_tls_version": [b"TLSv1.2"],
        }

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {TOKEN}")]


@pytest.mark.parametrize(
    "authenticator",
    [MTLSAuthenticator(_roles_of), BearerAuthenticator(_verify)],
    ids=["mtls", "bearer"],
)
async def test_a_connection_below_tls_13_proves_nothing(authenticator: Authenticator) -> None:
    with pytest.raises(CallerUnverifiedError):
        await authenticator.authenticate(_OldConnection())  # type: ignore[arg-type]  # the part in use


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_a_person_is_known_by_the_token(scheme: str) -> None:
    reply, stage = await _call_with_metadata([("authorization", f"{scheme} {TOKEN}")])

    assert reply.code == grpc.StatusCode.OK
    [caller] = stage.callers
    assert caller is not None
    assert (caller.name, caller.groups) == ("alice", ("payments",))
    assert caller.source_ip == "127.0.0.1"
    assert caller.token == SecretBytes(TOKEN.encode())


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", f"Bearer {TOKEN} {TOKEN}")],
        [("authorization", f"Bearer {TOKEN},Bearer {TOKEN}")],
        [("authorization", f"Bearer {TOKEN}")] * 2,
        [("authorization", "Bearer wrong")],
    ],
    ids=[
        "none",
        "empty",
        "scheme only",
        "empty token",
        "token only",
        "other scheme",
        "two tokens",
        "two in one",
        "two headers",
        "wrong",
    ],
)
async def test_anything_but_one_good_token_proves_nothing(
    metadata: Sequence[tuple[str, str]],
) -> None:
    reply, stage = await _call_with_metadata(metadata)

    assert (reply.code, reply.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED")
    assert stage.callers == []


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4567", "10.1.2.3"),
        ("ipv6:%5B::1%5D:4567", "::1"),
        ("ipv6:[2001:db8::1]:4567", "2001:db8::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4567", "fe80::1%eth0"),
        ("unix:/run/x.sock", ""),
        ("", ""),
    ],
)
def test_the_source_address_is_read_from_the_peers_name(peer: str, address: str) -> None:
    assert source_ip_of(peer) == address
