"""What an Envoy asks, as that Envoy writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_svc.ext_authz.proxied_request import ROUTE_LABEL
from keyturn.envoy.v3 import external_auth_service_pb2 as auth_pb
from tests.unit.gateway_svc.relay_stage import APP_TOKEN, BODY

UPSTREAM = "https://api.openai.com/v1"
PROOF = f"Bearer {APP_TOKEN.expose().decode()}"
HEADERS = {
    ":authority": "llm.example.org",
    ":method": "POST",
    ":path": "/v1/chat/completions",
    ":scheme": "https",
    "accept-encoding": "gzip",
    "authorization": PROOF,
    "content-length": str(len(BODY)),
    "content-type": "application/json",
    "cookie": "a=b",
    "openai-organization": "org-1",
    "x-envoy-auth-partial-body": "false",
    "x-envoy-retry-on": "5xx",
    "x-forwarded-for": "10.1.2.3",
    "x-keyturn-key": "users/alice/keys/openai",
    "x-request-id": "2d9b6f0e",
}


def question(
    *,
    headers: Mapping[str, str | None] | None = None,
    label: str | None = UPSTREAM,
    source: str = "10.1.2.3",
    **http: Any,  # noqa: ANN401 - fields of HttpRequest
) -> auth_pb.CheckRequest:
    """Return a question about a chat completion, changed; a header that is None is left out."""
    sent = {
        name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not None
    }
    fields = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_body": BODY,
        "headers": sent,
        **http,
    }
    address = auth_pb.Address(socket_address=auth_pb.SocketAddress(address=source))
    return auth_pb.CheckRequest(
        attributes=auth_pb.AttributeContext(
            source=auth_pb.Peer(address=address),
            request=auth_pb.Request(http=auth_pb.HttpRequest(**fields)),
            context_extensions={} if label is None else {ROUTE_LABEL: label},
        )
    )


def one_by_one(**headers: str | list[str]) -> auth_pb.HeaderMap:
    """Return headers as an Envoy with `encode_raw_headers` sends them; `_` stands for `-`."""
    pairs = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return auth_pb.HeaderMap(
        headers=[
            auth_pb.HeaderValue(key=name, raw_value=value.encode())
            for name, values in pairs.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
    )
