"""The port for Envoys over a real socket, with everything beyond the use case faked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc

from gateway_svc.apps import Apps
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.proxied_calls import ProxiedCalls, ProxyRoute
from gateway_svc.domain.roles import AppIds
from gateway_svc.ext_authz.access_policy import EnvoyIds
from gateway_svc.ext_authz.authorization_servicer import AuthorizationServicer, Handover, Refusals
from gateway_svc.ext_authz.port import envoy_port
from gateway_svc.http.error_status import http_error, internal_error
from gateway_svc.rpc.error_status import ERROR_DOMAIN, ERROR_STATUS
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb
from keyturn.envoy.v3.external_auth_service_pb2_grpc import AuthorizationStub
from svc_runtime.app_naming import AppNaming
from svc_runtime.grpc_server import DEFAULT_CONNECTION_SECONDS
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.workload_token import WorkloadTokens
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_jwt_verifier import FakeJWTVerifier
from tests.fakes.fake_key_leaser import FakeKeyLeaser
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.unit.gateway_svc.ext_authz.envoy_question import UPSTREAM
from tests.unit.gateway_svc.relay_stage import API_KEY, LEASE
from tests.unit.svc_runtime.interceptors import loopback_tls

if TYPE_CHECKING:  # the stub's asynchronous face exists for type checkers only
    from keyturn.envoy.v3.external_auth_service_pb2_grpc import AuthorizationAsyncStub

_BY_HEADER: Final = Handover(UPSTREAM, "authorization", takes_text_bodies=False)
ENVOY: Final = "spiffe://example.org/envoy/front"
SECONDS: Final = 20
_ISSUER: Final = "https://issuer.example"


@dataclass
class EnvoyStage:
    """What stands behind the port.

    Attributes:
        lease: What the key service answers.
        key: What Vault answers.
        token_names: The app that every token proves, or why it proves none.
    """

    lease: Lease | ServiceError = LEASE
    key: SecretBytes | BaseException = field(default_factory=lambda: API_KEY)
    token_names: str | ServiceError = loopback_tls.APP
    handover: Handover = _BY_HEADER
    leaser: FakeKeyLeaser = field(init=False)
    opener: FakeKeyOpener = field(init=False)

    @asynccontextmanager
    async def serving(
        self, caller: Sequence[str] = (ENVOY,)
    ) -> AsyncIterator[AuthorizationAsyncStub]:
        """Serve for a while; enter with what *caller*, by its SPIFFE ids, may call."""
        self.leaser, self.opener = FakeKeyLeaser(self.lease), FakeKeyOpener(self.key)
        names = self.token_names
        verifier = FakeJWTVerifier({"sub": names} if isinstance(names, str) else names, _ISSUER)
        servicer = AuthorizationServicer(
            ProxiedCalls(self.leaser, self.opener, FakeClock(), ProxyRoute(UPSTREAM, UPSTREAM)),
            Apps(
                AppIds("spiffe://example.org/app/"),
                WorkloadTokens(verifier, {_ISSUER: AppNaming()}),
                KeyChoice({}),
            ),
            self.handover,
            Refusals(http_error, internal_error),
        )
        port = envoy_port(
            "127.0.0.1:0",
            loopback_tls.server_credentials,
            EnvoyIds([SpiffeId.parse(ENVOY)]),
            servicer,
            (ERROR_DOMAIN, ERROR_STATUS),
            DEFAULT_CONNECTION_SECONDS,
        )
        number = await port.start()
        try:
            async with loopback_tls.channel_to(number, tuple(caller)) as channel:
                yield AuthorizationStub(channel)
        finally:
            await port.stop(0)
            await verifier.aclose()

    async def ask(
        self, request: auth_pb.CheckRequest, caller: Sequence[str] = (ENVOY,)
    ) -> auth_pb.CheckResponse:
        """Serve, and ask once."""
        async with self.serving(caller) as stub:
            return await stub.Check(request, timeout=SECONDS)


def written(options: Sequence[auth_pb.HeaderValueOption]) -> Mapping[str, str]:
    """Return headers that replace others, by name."""
    assert {option.append_action for option in options} <= {auth_pb.HEADER_APPEND_ACTION_OVERWRITE}
    return {option.header.key: option.header.value for option in options}


def refusal(response: auth_pb.CheckResponse) -> tuple[int, str]:
    """Return status and reason of what an app is told."""
    assert response.WhichOneof("http_response") == "denied_response"
    assert response.status.code != grpc.StatusCode.OK.value[0]
    error: dict[str, Any] = json.loads(response.denied_response.body)["error"]
    return response.denied_response.status.code, error["code"]
