"""What happened, by Vault's audit log and by the record of the stand-in for OpenAI."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import Clients
from tests.live_files import whole_lines

KEY_SERVICE = "keyvault-svc"
GATEWAY = "gateway-svc"
DECRYPT = "keyturn-transit/decrypt/openai"
CONTROLS = "keyturn-kv/data/operator/controls"
_TAG_PREFIX = "x-keyturn-"


@dataclass(frozen=True)
class VaultOperation:
    """One operation as Vault's audit log tells it.

    Attributes:
        role: Role of the login that did it; empty for administrators.
        login: Tells logins of one role apart, that is, replicas.
        tags: Keyturn's audited headers by the rest of their names, in plain text.
        is_failed: Whether Vault answered with an error.
    """

    path: str
    operation: str
    role: str
    login: str
    tags: dict[str, str]
    is_failed: bool


@dataclass(frozen=True)
class UpstreamRequest:
    """One request as the stand-in for OpenAI got it. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body_sha256: str


def vault_operations(clients: Clients, request_id: str) -> list[VaultOperation]:
    """Return the operations that Vault answered under *request_id*, in order.

    Without the reads of the operators' controls, which go beside each read of a record.

    Vault writes its log before it answers: what a client has an answer to stands there.
    """
    log = Path(clients.env["KEYTURN_VAULT_AUDIT_LOG"])
    entries = [json.loads(line) for line in _lines_with(log, request_id)]
    found = [_operation(entry) for entry in entries if entry["type"] == "response"]
    return [
        operation
        for operation in found
        if operation.tags.get("request-id") == request_id and operation.path != CONTROLS
    ]


def upstream_requests(clients: Clients, api_key: SecretBytes) -> list[UpstreamRequest]:
    """Return the requests of apps that reached the stand-in with *api_key*, in order."""
    return [request for request in _requests(clients, api_key) if not _is_verification(request)]


def verification_requests(clients: Clients, api_key: SecretBytes) -> list[UpstreamRequest]:
    """Return the requests by which gateways tried *api_key* at the stand-in, in order."""
    return [request for request in _requests(clients, api_key) if _is_verification(request)]


def _requests(clients: Clients, api_key: SecretBytes) -> list[UpstreamRequest]:
    record = clients.stack.layout.logs_dir / "openai-standin.requests.jsonl"
    return [
        UpstreamRequest(
            entry["method"],
            entry["path"],
            {name.lower(): value for name, value in entry["headers"]},
            entry["body_sha256"],
        )
        for entry in (json.loads(line) for line in _lines_with(record, _bearer_sha256(api_key)))
    ]


def _is_verification(request: UpstreamRequest) -> bool:
    return request.headers.get("user-agent") == "keyturn-gateway"


def _lines_with(file: Path, needle: str) -> list[str]:
    return [line for line in whole_lines(file) if needle in line]


def _operation(entry: dict[str, Any]) -> VaultOperation:
    request, auth = entry["request"], entry.get("auth") or {}
    return VaultOperation(
        request["path"],
        request["operation"],
        (auth.get("metadata") or {}).get("role_name", ""),
        auth.get("accessor", ""),
        {
            name.removeprefix(_TAG_PREFIX): values[0]
            for name, values in (request.get("headers") or {}).items()
            if name.startswith(_TAG_PREFIX)
        },
        is_failed=bool(entry.get("error")),
    )


def _bearer_sha256(api_key: SecretBytes) -> str:
    return hashlib.sha256(b"Bearer " + api_key.expose()).hexdigest()
