"""The gRPC ports over real connections: the same calls, by certificate and by token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
import pytest
from structlog.testing import capture_logs

from gateway_svc.apps import Apps
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.proxied_calls import ProxiedCalls
from gateway_svc.domain.roles import AppIds
from gateway_svc.ports import app_ports, envoy_ports
from gateway_svc.settings import Settings
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from svc_runtime.app_naming import AppNaming
from svc_runtime.clock import SystemClock
from svc_runtime.error_details import reason_of
from svc_runtime.jwt_verifier import IssuerUnavailableError
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, ServiceError
from svc_runtime.tls_files import TLSFilesWatcher
from svc_runtime.workload_token import WorkloadTokens
from tests.certs import Authority, write
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier
from tests.unit.gateway_svc.relay_stage import BODY, Stage

APP: Final = "spiffe://example.org/app/billing"
TOKEN: Final = "aa.app-canary.cc"
KEY: Final = ("x-keyturn-key", "users/alice/keys/openai")
BEARER: Final = ("authorization", f"Bearer {TOKEN}")
_ISSUER: Final = "https://issuer.example"
_SECONDS: Final = 20


class _Site:
    """A gateway's ports, that of Envoys the last, and who can call them."""

    def __init__(self, stage: Stage, authority: Authority, ports: list[int]) -> None:
        self.stage = stage
        self.ports = ports
        self._authority = authority

    @asynccontextmanager
    async def channel(
        self, port: int, *, has_certificate: bool = False
    ) -> AsyncIterator[grpc.aio.Channel]:
        pair = self._authority.issue(uris=[APP]) if has_certificate else None
        credentials = grpc.ssl_channel_credentials(
            self._authority.pem, pair.key if pair else None, pair.certificate if pair else None
        )
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            yield channel

    async def ask(
        self, *metadata: tuple[str, str], port: int = 1, has_certificate: bool = False
    ) -> tuple[grpc.StatusCode, str | None]:
        """Make one call at a port, that of tokens by default."""
        async with self.channel(self.ports[port], has_certificate=has_certificate) as channel:
            return await _call(channel, *metadata)


_Call: TypeAlias = "grpc.aio.UnaryUnaryCall[Any, Any]"  # only its stub is generic
Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[_Site]]


async def _call(
    channel: grpc.aio.Channel, *metadata: tuple[str, str]
) -> tuple[grpc.StatusCode, str | None]:
    """Return the status of one call, and the reason of a refusal."""
    request = pass_pb.UpstreamRequest(method="POST", path="chat/completions", body=BODY)
    stub = PassThroughServiceStub(channel)
    try:
        await stub.Call(
            pass_pb.CallRequest(request=request), metadata=(KEY, *metadata), timeout=_SECONDS
        )
    except grpc.aio.AioRpcError as error:
        return error.code(), reason_of(error)
    return grpc.StatusCode.OK, None


def _settings(folder: Path, **settings: Any) -> Settings:  # noqa: ANN401 - of any kind
    return Settings.model_validate(
        {
            "grpc_address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "health_address": "127.0.0.1:0",
            "app_id_prefix": "spiffe://example.org/app/",
            "app_issuers": [
                {
                    "issuer": _ISSUER,
                    "audience": "keyturn-apps",
                    "jwks_url": f"{_ISSUER}/keys",
                    "app_id_prefixes": ["spiffe://example.org/app/"],
                }
            ],
            "tls": dict.fromkeys(("certificate", "key", "ca"), folder),
            "vault": {"address": "https://vault.example", "token": {"file": folder}},
            "key_service": {"target": "dns:///keyvault-svc:8443"},
            "ext_authz": {
                "address": "127.0.0.1:0",
                "envoys": ["spiffe://example.org/envoy/front"],
                "upstream_base_url": "https://api.openai.com/v1",
            },
            **settings,
        }
    )


@pytest.fixture(name="serving")
def _serving(tmp_path: Path) -> Serving:
    """Serve for a while, where every token proves what is given."""
    authority = Authority()
    watcher = TLSFilesWatcher(write(tmp_path, authority.server(), authority.pem), SystemClock())

    @asynccontextmanager
    async def serve(
        proves: str | ServiceError = APP, *, has_token_port: bool = True
    ) -> AsyncIterator[_Site]:
        stage = Stage()
        answer = {"sub": proves} if isinstance(proves, str) else proves
        tokens = WorkloadTokens(FakeJWTVerifier(answer, _ISSUER), {_ISSUER: AppNaming()})
        apps = Apps(AppIds("spiffe://example.org/app/"), tokens, KeyChoice({}))
        settings = _settings(tmp_path, grpc_token_address="127.0.0.1:0" if has_token_port else None)
        proxied = partial(ProxiedCalls, stage.leaser, stage.opener, stage.clock)
        ports = [
            *app_ports(settings, watcher, apps, stage.relay),
            *envoy_ports(settings, watcher, apps, proxied),
        ]
        try:
            yield _Site(stage, authority, [await port.start() for port in ports])
        finally:
            for port in ports:
                await port.stop(0)

    return serve


async def test_only_certificates_are_taken_where_no_port_for_tokens_is_set(
    serving: Serving,
) -> None:
    async with serving(has_token_port=False) as site:
        assert len(site.ports) == 2
        assert await site.ask(port=0, has_certificate=True) == (grpc.StatusCode.OK, None)
        assert await site.ask(BEARER, port=0) == (grpc.StatusCode.UNAVAILABLE, None)


async def test_an_app_is_known_by_its_token_which_goes_on_as_proof(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with serving() as site:
            assert await site.ask(BEARER) == (grpc.StatusCode.OK, None)

    [lease] = site.stage.leaser.requests
    assert (str(lease.app), lease.app_token) == (APP, SecretBytes(TOKEN.encode()))
    assert lease.source_ip in {"127.0.0.1", "::1"}
    [(upstream, _)] = site.stage.upstream.sent
    [record] = [line for line in logs if line["event"] == "rpc"]
    assert (record["caller"], record["app"]) == (APP, APP)
    assert "canary" not in f"{logs}{caplog.text}{upstream}"


async def test_the_port_of_certificates_is_as_without_the_other(serving: Serving) -> None:
    async with serving() as site:
        assert await site.ask(port=0, has_certificate=True) == (grpc.StatusCode.OK, None)
        assert await site.ask(BEARER, port=0) == (grpc.StatusCode.UNAVAILABLE, None)

    [lease] = site.stage.leaser.requests
    assert lease.app_token is None


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", TOKEN)],
        [("authorization", f"Basic {TOKEN}")],
        [BEARER, BEARER],
        [("x-forwarded-client-cert", f"URI={APP}")],
    ],
    ids=["none", "empty", "no scheme", "another scheme", "two", "forwarded certificate"],
)
async def test_a_call_without_one_token_is_refused_whatever_certificate_comes(
    serving: Serving, metadata: list[tuple[str, str]]
) -> None:
    async with serving() as site:
        for has_certificate in (False, True):
            heard = await site.ask(*metadata, has_certificate=has_certificate)
            assert heard == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED")

    assert site.stage.leaser.requests == []


@pytest.mark.parametrize(
    ("proves", "status", "reason"),
    [
        (CallerUnverifiedError(), grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED"),
        ("spiffe://example.org/svc/x", grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED"),
        ("alice", grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNVERIFIED"),
        (IssuerUnavailableError(), grpc.StatusCode.UNAVAILABLE, IssuerUnavailableError.reason),
    ],
    ids=["a bad token", "no app", "a person", "the issuer is away"],
)
async def test_a_token_that_proves_no_app_is_refused_as_over_https(
    serving: Serving, proves: str | ServiceError, status: grpc.StatusCode, reason: str
) -> None:
    async with serving(proves) as site:
        assert await site.ask(BEARER) == (status, reason)

    assert site.stage.leaser.requests == []


async def test_nothing_is_served_in_the_clear(serving: Serving) -> None:
    async with (
        serving() as site,
        grpc.aio.insecure_channel(f"127.0.0.1:{site.ports[1]}") as channel,
    ):
        assert await _call(channel, BEARER) == (grpc.StatusCode.UNAVAILABLE, None)

    assert site.stage.leaser.requests == []


async def _until_answered(site: _Site, port: int) -> None:
    """Call a method that nobody serves until the port says so."""
    async with asyncio.timeout(_SECONDS):
        while True:
            async with site.channel(port, has_certificate=True) as channel:
                call: _Call = channel.unary_unary("/test.Echo/Nothing", bytes, bytes)(
                    b"", timeout=_SECONDS
                )
                if await call.code() == grpc.StatusCode.UNIMPLEMENTED:
                    return


@pytest.mark.parametrize("port", [0, 1, 2], ids=["certificates", "tokens", "Envoys"])
async def test_a_port_that_broke_comes_back_with_its_certificate(
    serving: Serving, port: int
) -> None:
    not_utf8: Any = b"/test.Echo/\xff"
    async with serving() as site:
        for _ in range(2):
            async with site.channel(site.ports[port], has_certificate=True) as channel:
                call: _Call = channel.unary_unary(not_utf8, bytes, bytes)(b"", timeout=_SECONDS)
                assert await call.code() != grpc.StatusCode.OK
            await _until_answered(site, site.ports[port])
