"""What each service's login may ask of Vault, and what it must be denied.

`ALLOWED` maps every grant of a service's policy file to the one request that needs it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ALICE = {"context": _base64("users/alice/keys/openai")}
MALLORY = {"context": _base64("users/mallory/keys/openai")}
PLAINTEXT = {"plaintext": _base64("sk-dual-control")}
SEALED = {"ciphertext": "<sealed for alice>"}  # the test puts a real ciphertext in its place


@dataclass(frozen=True)
class Request:
    """A request to Vault: method, path, body."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def record_body(cas: int) -> dict[str, Any]:
    return {"data": {"sealed": "x"}, "options": {"cas": cas}}


# The grant of the policy file (path, capability) and the request that needs it.
OWN_TOKEN = {
    ("auth/token/lookup-self", "read"): Request("GET", "auth/token/lookup-self"),
    ("auth/token/renew-self", "update"): Request("POST", "auth/token/renew-self"),
    ("auth/token/revoke-self", "update"): Request("POST", "auth/token/revoke-self"),
}


def _kv_grants(kind: str) -> dict[tuple[str, str], Request]:
    record, new = f"{kind}/alice/keys/openai", f"{kind}/alice/keys/new"
    any_record = f"{kind}/+/keys/+"
    return {
        (f"keyturn-kv/data/{any_record}", "create"): Request(
            "POST", f"keyturn-kv/data/{new}", record_body(0)
        ),
        (f"keyturn-kv/data/{any_record}", "read"): Request("GET", f"keyturn-kv/data/{record}"),
        (f"keyturn-kv/data/{any_record}", "update"): Request(
            "POST", f"keyturn-kv/data/{record}", record_body(1)
        ),
        (f"keyturn-kv/destroy/{any_record}", "update"): Request(
            "POST", f"keyturn-kv/destroy/{record}", {"versions": [1]}
        ),
        (f"keyturn-kv/metadata/{any_record}", "read"): Request(
            "GET", f"keyturn-kv/metadata/{record}"
        ),
        (f"keyturn-kv/metadata/{any_record}", "delete"): Request(
            "DELETE", f"keyturn-kv/metadata/{record}"
        ),
        (f"keyturn-kv/metadata/{kind}/+/keys/", "list"): Request(
            "LIST", f"keyturn-kv/metadata/{kind}/alice/keys"
        ),
    }


ALLOWED: dict[str, dict[tuple[str, str], Request]] = {
    "keyvault-svc": {
        **_kv_grants("users"),
        **_kv_grants("teams"),
        ("keyturn-transit/encrypt/openai", "update"): Request(
            "POST", "keyturn-transit/encrypt/openai", ALICE | PLAINTEXT
        ),
        ("keyturn-transit/rewrap/openai", "update"): Request(
            "POST", "keyturn-transit/rewrap/openai", ALICE | SEALED
        ),
        ("keyturn-transit/hmac/openai", "update"): Request(
            "POST",
            "keyturn-transit/hmac/openai",
            {"input": _base64("sk-dual-control"), "algorithm": "sha2-256"},
        ),
        **OWN_TOKEN,
    },
    "gateway-svc": {
        ("keyturn-transit/decrypt/openai", "update"): Request(
            "POST", "keyturn-transit/decrypt/openai", ALICE | SEALED
        ),
        **OWN_TOKEN,
    },
}
DENIED_TO_BOTH = [
    # The transit key itself, and every other use of it.
    Request("LIST", "keyturn-transit/keys"),
    Request("GET", "keyturn-transit/keys/openai"),
    Request("POST", "keyturn-transit/keys/openai/config", {"exportable": True}),
    Request("POST", "keyturn-transit/keys/openai/rotate"),
    Request("DELETE", "keyturn-transit/keys/openai"),
    Request("GET", "keyturn-transit/export/encryption-key/openai"),
    Request("GET", "keyturn-transit/export/hmac-key/openai"),
    Request("GET", "keyturn-transit/backup/openai"),
    Request("POST", "keyturn-transit/datakey/plaintext/openai", ALICE),
    Request("POST", "keyturn-transit/encrypt/other", ALICE | PLAINTEXT),
    Request("POST", "keyturn-transit/decrypt/other", ALICE | SEALED),
    # Records by other ways, owners, and the engine's configuration.
    Request("LIST", "keyturn-kv/metadata"),
    Request("LIST", "keyturn-kv/metadata/users"),
    Request("LIST", "keyturn-kv/metadata/teams"),
    Request("POST", "keyturn-kv/metadata/users/alice/keys/openai", {"max_versions": 1}),
    Request("GET", "keyturn-kv/subkeys/users/alice/keys/openai"),
    Request("DELETE", "keyturn-kv/data/users/alice/keys/openai"),
    Request("POST", "keyturn-kv/undelete/users/alice/keys/openai", {"versions": [1]}),
    Request("GET", "keyturn-kv/data/users/alice/keys/openai/deeper"),
    Request("GET", "keyturn-kv/data/apps/alice/keys/openai"),
    Request("GET", "keyturn-kv/data/users/alice/notes/openai"),
    Request("GET", "keyturn-kv/config"),
    Request("POST", "keyturn-kv/config", {"cas_required": False}),
    # Vault itself.
    Request("GET", "sys/mounts"),
    Request("POST", "sys/mounts/other", {"type": "kv"}),
    Request("GET", "sys/auth"),
    Request("GET", "sys/audit"),
    Request("GET", "sys/config/auditing/request-headers"),
    Request("LIST", "sys/policies/acl"),
    Request("GET", "sys/policies/acl/keyvault-svc"),
    Request("POST", "sys/policies/acl/gateway-svc", {"policy": ""}),
    Request("POST", "sys/wrapping/wrap", {"a": "b"}),
    Request("POST", "sys/capabilities-self", {"path": "sys/mounts"}),
    Request("POST", "sys/seal"),
    Request("GET", "sys/raw/core/keyring"),
    # Logins and tokens.
    Request("POST", "auth/token/create"),
    Request("LIST", "auth/token/accessors"),
    Request("GET", "auth/keyturn-approle/role/gateway-svc/role-id"),
    Request("POST", "auth/keyturn-approle/role/gateway-svc/secret-id"),
    Request("POST", "auth/keyturn-approle/role/keyvault-svc/secret-id"),
    # Other mounts.
    Request("POST", "keyturn-pki/issue/app", {"uri_sans": "spiffe://keyturn.test/app/x"}),
    Request("LIST", "keyturn-pki/roles"),
    Request("LIST", "identity/entity/id"),
    Request("POST", "identity/entity", {"name": "x"}),
    Request("GET", "identity/oidc/token/keyturn-owner"),
    Request("GET", "identity/oidc/config"),
    Request("POST", "cubbyhole/x", {"a": "b"}),
]
DENIED = {
    "keyvault-svc": [
        *DENIED_TO_BOTH,
        Request("POST", "keyturn-transit/decrypt/openai", ALICE | SEALED),
        Request("POST", "keyturn-transit/decrypt/openai", {"batch_input": [ALICE | SEALED]}),
    ],
    "gateway-svc": [
        *DENIED_TO_BOTH,
        *(request for grant, request in ALLOWED["keyvault-svc"].items() if grant not in OWN_TOKEN),
        # One line of the audit log is one decrypted key.
        Request("POST", "keyturn-transit/decrypt/openai", {"batch_input": [ALICE | SEALED]}),
    ],
}
