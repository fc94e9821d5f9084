"""A stack whose gateway hands keys to an Envoy, and that Envoy: it asks, and sends on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import grpc

from gateway_svc.ext_authz.proxied_request import ROUTE_LABEL
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb
from keyturn.envoy.v3.external_auth_service_pb2_grpc import AuthorizationStub
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.layout import TRUST_DOMAIN
from keyturn_cli.local.private_file import write_private_file
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.stack_ports import STANDIN_PORT
from tests.e2e.asking import QUESTION
from tests.e2e.breaking import Verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients

if TYPE_CHECKING:  # the stub's asynchronous face exists for type checkers only
    from keyturn.envoy.v3.external_auth_service_pb2_grpc import AuthorizationAsyncStub

ENVOY: Final = f"spiffe://{TRUST_DOMAIN}/envoy/front"
_STRANGER: Final = f"spiffe://{TRUST_DOMAIN}/envoy/other"
BODY: Final = json.dumps(QUESTION).encode()
CHAT: Final = "/v1/chat/completions"


class StackWithEnvoy(LocalStack):
    """A stack with a port for one Envoy, `envoy_port`, and certificates for it and another."""

    envoy_port: int = 0

    @property
    def upstream_base_url(self) -> str:
        """Where the Envoy's route leads: to the stand-in for OpenAI."""
        return f"http://127.0.0.1:{self.ports[STANDIN_PORT]}/v1"

    def certificate(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key of the Envoy `front`, or of `other`, whom nobody knows."""
        return self.layout.certificate(f"envoy-{name}")

    def _write_settings(self) -> None:
        super()._write_settings()
        [self.envoy_port] = free_ports(1)
        file = self.layout.service_settings("gateway-svc")
        table = {
            "address": f"127.0.0.1:{self.envoy_port}",
            "envoys": [ENVOY],
            "upstream_base_url": self.upstream_base_url,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        with file.open("a", encoding="utf-8") as settings:
            settings.write("\n".join(["", "[ext_authz]", *lines, ""]))

    def _set_up_vault(self) -> None:
        super()._set_up_vault()
        admin = self.openbao.client()
        admin.write_data(
            "keyturn-pki/roles/envoy",
            data={
                "allowed_uri_sans": [ENVOY, _STRANGER],
                "require_cn": False,
                "client_flag": True,
                "server_flag": False,
                "key_type": "ec",
                "key_bits": 256,
                "max_ttl": "1h",
            },
        )
        for name, spiffe_id in (("front", ENVOY), ("other", _STRANGER)):
            issued = admin.write_data("keyturn-pki/issue/envoy", data={"uri_sans": spiffe_id})
            certificate_file, key_file = self.certificate(name)
            write_private_file(key_file, issued["data"]["private_key"].encode())
            write_private_file(certificate_file, issued["data"]["certificate"].encode())


@dataclass(frozen=True)
class Envoy:
    """Asks as an Envoy does, and sends what it is allowed to."""

    clients: Clients
    stack: StackWithEnvoy

    @asynccontextmanager
    async def channel(
        self, certificate: tuple[Path, Path]
    ) -> AsyncIterator[AuthorizationAsyncStub]:
        """Connect with *certificate* and its key."""
        async with self.clients.channel(self.stack.envoy_port, *certificate) as channel:
            yield AuthorizationStub(channel)

    async def ask(
        self,
        key: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = BODY,
        **changes: Any,  # noqa: ANN401 - see `question`
    ) -> auth_pb.CheckResponse:
        """Ask about a call with *key* of the app that *token* proves, by default the demo app."""
        proof = self.clients.env["KEYTURN_APP_TOKEN"] if token is None else token
        sent = {
            ":authority": "llm.example.org",
            "authorization": f"Bearer {proof}",
            "content-length": str(len(body)),
            "content-type": "application/json",
            "cookie": "session=canary",
            "user-agent": "app/1",
            "x-envoy-auth-partial-body": "false",
            "x-envoy-retry-on": "5xx",
            "x-forwarded-for": "127.0.0.1",
            "x-keyturn-key": key,
            **(headers or {}),
        }
        request = question(self.stack.upstream_base_url, sent, body, **changes)
        async with self.channel(self.stack.certificate("front")) as stub:
            response = await stub.Check(request, timeout=DEADLINE_SECONDS)
        if response.WhichOneof("http_response") == "denied_response":
            self.clients.keep(response)
        self.clients.keep(response.dynamic_metadata, *response.ok_response.response_headers_to_add)
        return response

    async def send_on(
        self, response: auth_pb.CheckResponse, sent: Mapping[str, str], body: bytes = BODY
    ) -> int:
        """Send a request to OpenAI, changed as *response* says, in Envoy's order."""
        headers = dict(sent)
        for option in response.ok_response.headers:
            headers[option.header.key] = option.header.value
        for name in response.ok_response.headers_to_remove:
            headers.pop(name, None)
        url = self.stack.upstream_base_url.removesuffix("/v1") + CHAT
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, headers=headers, data=body) as answer,
        ):
            self.clients.keep(await answer.read())
            return answer.status


def question(
    label: str | None,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str = "POST",
    path: str = CHAT,
    source: str = "127.0.0.1",
) -> auth_pb.CheckRequest:
    """Return what an Envoy asks about a request on a route with *label*."""
    address = auth_pb.Address(socket_address=auth_pb.SocketAddress(address=source))
    http = auth_pb.HttpRequest(method=method, path=path, headers=headers, raw_body=body)
    return auth_pb.CheckRequest(
        attributes=auth_pb.AttributeContext(
            source=auth_pb.Peer(address=address),
            request=auth_pb.Request(http=http),
            context_extensions={} if label is None else {ROUTE_LABEL: label},
        )
    )


def verdict_of(response: auth_pb.CheckResponse) -> Verdict:
    """Return the status and the reason that the app hears; 200 if its call is sent."""
    if response.WhichOneof("http_response") == "ok_response":
        return (200, None)
    assert response.status.code != grpc.StatusCode.OK.value[0]
    denied = response.denied_response
    return (denied.status.code, json.loads(denied.body)["error"]["code"])
