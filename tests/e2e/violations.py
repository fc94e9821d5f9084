"""Calls that a gateway must refuse: what its error names, and that nothing was leased for them."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import grpc
import pytest
from yarl import URL

from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from svc_runtime.error_details import field_violation_of
from tests.e2e.asking import QUESTION
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id
from tests.e2e.evidence import vault_operations

BODY = json.dumps(QUESTION).encode()


async def grpc_violation(
    clients: Clients,
    key: str | None,
    *more: tuple[str, str],
    app: str = "demo",
    timeout: float | None = DEADLINE_SECONDS,  # noqa: ASYNC109 - gRPC's own, not asyncio's
    **request: Any,  # noqa: ANN401 - fields of UpstreamRequest
) -> tuple[str, str]:
    """Return the field and the rule that a refused pass-through call names; nothing was leased."""
    request_id = new_request_id()
    wanted: dict[str, Any] = {"method": "POST", "path": "chat/completions", "body": BODY, **request}
    async with clients.gateway(app=app) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await PassThroughServiceStub(channel).Call(
                pass_pb.CallRequest(request=pass_pb.UpstreamRequest(**wanted)),
                timeout=timeout,
                metadata=metadata(key, request_id, *more),
            )
    return judged(clients, caught.value, request_id)


def judged(clients: Clients, error: grpc.aio.AioRpcError, request_id: str) -> tuple[str, str]:
    """Return the field and the rule that *error* names, of a call that leased nothing."""
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert clients.reason(error) == "INVALID_ARGUMENT"
    assert vault_operations(clients, request_id) == []
    violation = field_violation_of(error)
    assert violation is not None
    return violation


async def http_violation(
    clients: Clients,
    key: str | None,
    path: str = "chat/completions",
    *,
    body: bytes = BODY,
    content_type: str = "application/json",
    app: str = "demo",
) -> tuple[str, str]:
    """Return the field and the rule that a refused request names; nothing was leased."""
    request_id = new_request_id()
    headers = {**dict(metadata(key, request_id)), "content-type": content_type}
    port = clients.port("gateway", "http")
    url = URL(f"https://127.0.0.1:{port}/v1/{path}", encoded=True)
    async with clients.http(app=app) as http, http.post(url, data=body, headers=headers) as answer:
        error = (await answer.json())["error"]
    clients.keep(dict(answer.headers), error)
    assert answer.status == 400
    assert (error["type"], error["code"]) == ("invalid_request_error", "INVALID_ARGUMENT")
    assert answer.headers["x-keyturn-request-id"] == request_id
    assert vault_operations(clients, request_id) == []
    return error["param"], error["message"]


async def raw_exchange(clients: Clients, request: bytes) -> tuple[bytes, bytes]:
    """Write *request*, which asks to close, as the demo app; return head and body of the answer."""
    layout = clients.stack.layout
    tls = ssl.create_default_context(cafile=layout.ca_file)
    tls.load_cert_chain(*layout.certificate("app-demo"))
    port = clients.port("gateway", "http")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(request)
    await writer.drain()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    clients.keep(head, body)
    return head, body
