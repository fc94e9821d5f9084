"""Entries as OpenBao 2.7 writes them, cut down to what matters, and records of the services."""

from __future__ import annotations

from typing import Any

REQUEST_ID = "6f1c2b7e9d0a4f3d8b5e1a2c3d4e5f60"
LEASE = "0123456789abcdef0123456789abcdef"
APP = "spiffe://keyturn.local/app/demo"
KEY = "users/alice/keys/openai"


def entry(  # noqa: PLR0913 - each test changes one thing of an entry
    operation: str,
    path: str,
    role: str,
    *,
    kind: str = "response",
    lease: str = LEASE,
    request_id: str = REQUEST_ID,
    second: int = 25,
    operation_id: str | None = None,
    error: str = "",
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    mount = path.partition("/")[0] + "/"
    headers = {
        "x-keyturn-app": [APP],
        "x-keyturn-key": [KEY],
        "x-keyturn-request-id": [request_id],
    }
    if lease:
        headers["x-keyturn-lease"] = [lease]
    made: dict[str, Any] = {
        "time": f"2026-11-20T21:08:{second:02}.090562667Z",
        "type": kind,
        "auth": {
            "client_token": "hmac-sha256:c0fdb97c57101ef88027d0ccd231faf4",
            "display_name": "keyturn-approle",
            "policies": ["default", role],
            "policy_results": {"allowed": not error},
            "metadata": {"role_name": role},
            "entity_id": "5108eded-1049-acee-c574-76aa8a739fef",
            "token_type": "service",
        },
        "request": {
            "id": operation_id or f"{operation}-{path}-{role}-{lease}",
            "operation": operation,
            "mount_point": mount,
            "mount_type": {"keyturn-kv/": "kv", "keyturn-transit/": "transit"}.get(mount, "system"),
            "path": path,
            "remote_address": "127.0.0.1",
            "headers": headers,
        },
    }
    if kind == "response":
        made["response"] = {"mount_point": mount, "data": {"x": "y"} if data is None else data}
    if error:
        made["error"] = error
    return made


def kv_read(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on to `entry`
    values: dict[str, Any] = {"role": "keyvault-svc", "second": 25} | changes
    return entry("read", f"keyturn-kv/data/{KEY}", **values)


def decrypt(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on to `entry`
    values: dict[str, Any] = {"role": "gateway-svc", "second": 26} | changes
    return entry("update", "keyturn-transit/decrypt/openai", **values)


def gateway_record(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - values of a log line
    return {
        "event": "rpc",
        "level": "info",
        "service": "gateway-svc",
        "time": "2026-11-20T21:08:27.500000Z",
        "request_id": REQUEST_ID,
        "method": "/keyturn.gateway.v1.ChatCompletionService/CreateChatCompletion",
        "caller": APP,
        "code": "OK",
        "reason": None,
        "duration_ms": 3000.0,
        "app": APP,
        "key": KEY,
        "lease": LEASE,
        "endpoint": "chat/completions",
        "http_status": "200",
        "openai_request_id": "req_0a1b",
    } | changes
