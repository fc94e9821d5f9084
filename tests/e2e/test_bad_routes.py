"""Paths, queries, methods and headers that lead elsewhere than they seem: refused, and no lease."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.violations import grpc_violation, http_violation, raw_exchange

BAD_PATHS = {
    "empty": "",
    "up": "../organization/api_keys",
    "up in the middle": "models/../files",
    "here": "./models",
    "escaped dots": "%2e%2e/models",
    "escaped slash": "chat%2fcompletions",
    "escaped twice": "chat%252fcompletions",
    "escaped backslash": "chat%5Ccompletions",
    "escaped line break": "models%0a",
    "escaped null byte": "models%00",
    "cut escape": "models%2",
    "empty segment": "chat//completions",
    "slash before": "/models",
    "slash after": "models/",
    "very long": "a" * 257,
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits, and is never used."""
    return asyncio.run(give_key(clients, "bad-routes"))


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
async def test_a_path_that_leads_elsewhere_is_refused(
    clients: Clients, key: OwnedKey, path: str
) -> None:
    field, rule = await grpc_violation(clients, key.name, path=path)
    assert (field, rule[:32]) == ("request.path", "must be a path below /v1/ of at ")
    field, rule = await http_violation(clients, key.name, path)
    assert field == "path"
    assert "must be a path below /v1/" in rule


@pytest.mark.parametrize(
    "path", ["models?limit=1", "models#top", "a b", "mod\u00e8ls", "models\r\nhost: x"]
)
async def test_what_is_more_than_a_path_is_refused(
    clients: Clients, key: OwnedKey, path: str
) -> None:
    field, _ = await grpc_violation(clients, key.name, path=path)

    assert field == "request.path"


@pytest.mark.parametrize("query", ["a b", "a=1#top", "a=%2", "a=\r\nhost: x", "a=" + "b" * 8192])
async def test_what_is_no_query_is_refused(clients: Clients, key: OwnedKey, query: str) -> None:
    field, rule = await grpc_violation(clients, key.name, query=query)

    assert field == "request.query"
    assert rule.startswith("must be a percent-encoded query")


@pytest.mark.parametrize("method", ["", "get", "TRACE", "CONNECT", "GET /v1/models HTTP/1.1\r\n"])
async def test_another_method_is_refused(clients: Clients, key: OwnedKey, method: str) -> None:
    field, rule = await grpc_violation(clients, key.name, method=method)

    assert field == "request.method"
    assert rule == "must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "cookie",
        "host",
        "x-keyturn-key",
        "transfer-encoding",
        "content-length",
        "x-forwarded-for",
        "",
        "accept\r\nauthorization",
    ],
)
async def test_a_header_that_may_not_pass_is_refused(
    clients: Clients, key: OwnedKey, name: str
) -> None:
    header = pass_pb.Header(name=name, value="x")
    field, rule = await grpc_violation(clients, key.name, headers=[header])

    assert (field, rule) == (
        "request.headers",
        "must name headers only that the gateway lets through",
    )


@pytest.mark.parametrize("value", ["a\r\nauthorization: x", "a\nb", "a\0b", "\u00e9", "a" * 4097])
async def test_a_headers_value_cannot_become_another_header(
    clients: Clients, key: OwnedKey, value: str
) -> None:
    header = pass_pb.Header(name="openai-beta", value=value)
    field, rule = await grpc_violation(clients, key.name, headers=[header])

    assert field == "request.headers"
    assert "printable ASCII" in rule


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /v1/mod\xc3\xa8ls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-apps-token",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-apps-token\x01",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer the-apps-token",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"the-apps-token" * 2000,
        b"POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
    ],
    ids=["path", "value", "name", "length", "framing"],
)
async def test_what_is_no_http_is_refused_and_not_quoted(
    clients: Clients, request_head: bytes
) -> None:
    head, body = await raw_exchange(clients, request_head + b"\r\n\r\n")

    assert b" 400 Bad Request" in head
    error = json.loads(body)["error"]
    assert (error["code"], error["param"]) == ("INVALID_ARGUMENT", "request")
    assert b"the-apps-token" not in head + body
    assert "the-apps-token" not in clients.stack.services["gateway-svc"].log_file.read_text()
