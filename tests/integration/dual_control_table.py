"""What each login may ask of Vault, and what it must be denied.

`ALLOWED` maps every grant of a policy file to the one request that needs it, `CONSTRAINTS` every
other line to a request that only this line denies.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Grants = dict[tuple[str, str], "Request"]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ALICE = {"context": _base64("users/alice/keys/openai")}
MALLORY = {"context": _base64("users/mallory/keys/openai")}
HEAD = {"input": _base64("the head of an audit stream")}
PLAINTEXT = {"plaintext": _base64("sk-dual-control")}
# The test puts a real one in the place of each.
SEALED = {"ciphertext": "<sealed for alice>"}
WRAPPED = {"token": "<wraps something>"}


@dataclass(frozen=True)
class Request:
    """A request to Vault: method, path, body, and the time that its answer is wrapped for."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    wrap_ttl: str | None = None

    def __str__(self) -> str:
        body = self.body or {}
        about = f"cas {body['options']['cas']}" if "options" in body else " ".join(body)
        return " ".join(filter(None, [self.method, self.path, self.wrap_ttl, about]))


def record_body(cas: int) -> dict[str, Any]:
    """Return what stores a document; where *cas* is 0, it must not be there yet."""
    return {"data": {"record": "x"}, "options": {"cas": cas}}


# The grant of the policy file (path, capability) and the request that needs it.
OWN_TOKEN: Grants = {
    ("auth/token/lookup-self", "read"): Request("GET", "auth/token/lookup-self"),
    ("auth/token/renew-self", "update"): Request("POST", "auth/token/renew-self"),
    ("auth/token/revoke-self", "update"): Request("POST", "auth/token/revoke-self"),
}


def _document_requests(document: str) -> dict[tuple[str, str], Request]:
    """Return the requests about the document at a path of KV, by kind of path and capability."""
    return {
        ("data", "create"): Request("POST", f"keyturn-kv/data/{document}", record_body(0)),
        ("data", "read"): Request("GET", f"keyturn-kv/data/{document}"),
        ("data", "update"): Request("POST", f"keyturn-kv/data/{document}", record_body(1)),
        ("destroy", "update"): Request("POST", f"keyturn-kv/destroy/{document}", {"versions": [1]}),
        ("metadata", "read"): Request("GET", f"keyturn-kv/metadata/{document}"),
        ("metadata", "delete"): Request("DELETE", f"keyturn-kv/metadata/{document}"),
    }


def _documents(pattern: str, document: str, *capabilities: str) -> Grants:
    """Return the grants that *capabilities* make, such as `data/read`, on a *pattern* of paths."""
    wanted = [(kind, name) for kind, _, name in (c.partition("/") for c in capabilities)]
    requests = _document_requests(document)
    return {(f"keyturn-kv/{kind}/{pattern}", name): requests[kind, name] for kind, name in wanted}


def _listing(pattern: str, folder: str) -> Grants:
    return {
        (f"keyturn-kv/metadata/{pattern}/", "list"): Request(
            "LIST", f"keyturn-kv/metadata/{folder}"
        )
    }


def _transit(operation: str, body: Mapping[str, Any] | None) -> Grants:
    path = f"keyturn-transit/{operation}"
    return {(path, "update"): Request("POST", path, body)}


def _records(kind: str, *capabilities: str) -> Grants:
    return {
        **_documents(f"{kind}/+/keys/+", f"{kind}/alice/keys/openai", *capabilities),
        **_listing(f"{kind}/+/keys", f"{kind}/alice/keys"),
    }


WRAP = "sys/wrapping/wrap"
CONFIG = "keyturn-transit/keys/openai/config"
_CUSTODY = (
    *("data/create", "data/read", "data/update"),
    *("destroy/update", "metadata/read", "metadata/delete"),
)
_REWRAPPING = ("data/read", "data/update", "destroy/update", "metadata/read")

ALLOWED: dict[str, Grants] = {
    "keyvault-svc": {
        **_records("users", *_CUSTODY),
        **_records("teams", *_CUSTODY),
        **_documents("fingerprints/+", "fingerprints/f", *_CUSTODY[:-1]),
        **_documents("grant-requests/+", "grant-requests/g", *_CUSTODY),
        **_documents("verifications/+", "verifications/v", *_CUSTODY[:3], "metadata/delete"),
        **_listing("verifications", "verifications"),
        **_documents("retirements/+", "retirements/r", *_CUSTODY[:3], "metadata/delete"),
        **_listing("retirements", "retirements"),
        **_documents("reconciled/+", "reconciled/r", *_CUSTODY[:3], "metadata/delete"),
        **_listing("reconciled", "reconciled"),
        **_documents("operator/controls", "operator/controls", *_CUSTODY[:3]),
        **_transit("encrypt/openai", ALICE | PLAINTEXT),
        **_transit(
            "hmac/fingerprint", {"input": _base64("sk-dual-control"), "algorithm": "sha2-256"}
        ),
        (WRAP, "update"): Request("POST", WRAP, {"sealed_key": "x"}, "30s"),
        **_transit("sign/audit-keyvault-svc", HEAD),
        **OWN_TOKEN,
    },
    "gateway-svc": {
        **_transit("decrypt/openai", ALICE | SEALED),
        ("sys/wrapping/unwrap", "update"): Request("POST", "sys/wrapping/unwrap", WRAPPED),
        **_transit("sign/audit-gateway-svc", HEAD),
        **OWN_TOKEN,
    },
    "keyvault-maintenance": {
        **_listing("users", "users"),
        **_listing("teams", "teams"),
        **_records("users", *_REWRAPPING),
        **_records("teams", *_REWRAPPING),
        **_documents(
            *("maintenance/rewrap", "maintenance/rewrap"), *_CUSTODY[:3], "metadata/delete"
        ),
        **_transit("rewrap/openai", ALICE | SEALED),
        ("keyturn-transit/keys/openai", "read"): Request("GET", "keyturn-transit/keys/openai"),
        **_transit("keys/openai/rotate", None),
        **_transit("keys/openai/config", {"min_decryption_version": 1}),
        **OWN_TOKEN,
    },
}

# The policy, the line that narrows a grant, and a request that nothing else there denies.
CONSTRAINTS = [
    # One line of the audit log is one key that is opened, or sealed anew.
    (
        "gateway-svc",
        "batch_input",
        Request("POST", "keyturn-transit/decrypt/openai", {"batch_input": [ALICE | SEALED]}),
    ),
    (
        "keyvault-maintenance",
        "batch_input",
        Request("POST", "keyturn-transit/rewrap/openai", {"batch_input": [ALICE | SEALED]}),
    ),
    *(
        (
            service,
            "input",
            Request("POST", f"keyturn-transit/sign/audit-{service}", {"batch_input": [HEAD]}),
        )
        for service in ("keyvault-svc", "gateway-svc")
    ),
    ("keyvault-svc", "min_wrapping_ttl", Request("POST", WRAP, {"sealed_key": "x"}, "500ms")),
    ("keyvault-svc", "max_wrapping_ttl", Request("POST", WRAP, {"sealed_key": "x"}, "31s")),
    (
        "keyvault-maintenance",
        "min_decryption_version",
        Request("POST", CONFIG, {"deletion_allowed": False}),
    ),
]

DENIED_TO_ALL = [
    # The transit keys themselves, and every other use of them.
    Request("LIST", "keyturn-transit/keys"),
    Request("POST", "keyturn-transit/keys/openai", {"type": "aes256-gcm96"}),
    Request("POST", "keyturn-transit/keys/other", {"type": "aes256-gcm96"}),
    *(
        Request("POST", CONFIG, {name: value})
        for name, value in {
            "exportable": True,
            "allow_plaintext_backup": True,
            "deletion_allowed": True,
            "min_encryption_version": 1,
            "auto_rotate_period": "1h",
        }.items()
    ),
    Request("POST", CONFIG, {"min_decryption_version": 1, "exportable": True}),
    Request("DELETE", "keyturn-transit/keys/openai"),
    Request("POST", "keyturn-transit/keys/openai/trim", {"min_available_version": 1}),
    Request("GET", "keyturn-transit/export/encryption-key/openai"),
    Request("GET", "keyturn-transit/export/hmac-key/openai"),
    Request("GET", "keyturn-transit/export/hmac-key/fingerprint"),
    Request("GET", "keyturn-transit/backup/openai"),
    Request("POST", "keyturn-transit/datakey/plaintext/openai", ALICE),
    Request("POST", "keyturn-transit/hmac/openai", {"input": _base64("x")}),
    Request("POST", "keyturn-transit/hmac/fingerprint/sha2-512", {"input": _base64("x")}),
    Request("POST", "keyturn-transit/encrypt/other", ALICE | PLAINTEXT),
    Request("POST", "keyturn-transit/encrypt/fingerprint", PLAINTEXT),
    Request("POST", "keyturn-transit/decrypt/other", ALICE | SEALED),
    Request("POST", "keyturn-transit/decrypt/fingerprint", SEALED),
    Request("POST", "keyturn-transit/sign/audit-keyvault-svc/sha2-512", HEAD),
    Request("POST", "keyturn-transit/sign/audit-gateway-svc/sha2-512", HEAD),
    Request("POST", "keyturn-transit/sign/openai", HEAD),
    Request("GET", "keyturn-transit/keys/audit-keyvault-svc"),
    Request("POST", "keyturn-transit/keys/audit-gateway-svc/rotate"),
    Request("GET", "keyturn-transit/export/signing-key/audit-gateway-svc"),
    Request("GET", "keyturn-transit/keys/fingerprint"),
    Request("POST", "keyturn-transit/keys/fingerprint/rotate"),
    Request("POST", "keyturn-transit/keys/fingerprint/config", {"min_decryption_version": 1}),
    # Documents by other ways, owners, and the engine's configuration.
    Request("LIST", "keyturn-kv/metadata"),
    Request("LIST", "keyturn-kv/metadata/users/alice"),
    Request("LIST", "keyturn-kv/metadata/fingerprints"),
    Request("LIST", "keyturn-kv/metadata/grant-requests"),
    Request("LIST", "keyturn-kv/metadata/maintenance"),
    Request("POST", "keyturn-kv/metadata/users/alice/keys/openai", {"max_versions": 1}),
    Request("POST", "keyturn-kv/metadata/fingerprints/f", {"max_versions": 1}),
    Request("GET", "keyturn-kv/subkeys/users/alice/keys/openai"),
    Request("DELETE", "keyturn-kv/data/users/alice/keys/openai"),
    Request("PATCH", "keyturn-kv/data/users/alice/keys/openai", record_body(1)),
    Request("POST", "keyturn-kv/undelete/users/alice/keys/openai", {"versions": [1]}),
    Request("GET", "keyturn-kv/data/users/alice/keys/openai/deeper"),
    Request("GET", "keyturn-kv/data/apps/alice/keys/openai"),
    Request("GET", "keyturn-kv/data/users/alice/notes/openai"),
    Request("GET", "keyturn-kv/data/maintenance/other"),
    Request("DELETE", "keyturn-kv/metadata/fingerprints/f"),
    Request("GET", "keyturn-kv/metadata/verifications/v"),
    Request("POST", "keyturn-kv/destroy/verifications/v", {"versions": [1]}),
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
    Request("POST", WRAP, {"a": "b"}),
    Request("POST", WRAP, {"a": "b"}, "1h"),
    Request("POST", "sys/wrapping/rewrap", WRAPPED),
    Request("POST", "sys/capabilities-self", {"path": "sys/mounts"}),
    Request("POST", "sys/seal"),
    Request("GET", "sys/raw/core/keyring"),
    # Logins and tokens.
    Request("POST", "auth/token/create"),
    Request("LIST", "auth/token/accessors"),
    Request("GET", "auth/keyturn-approle/role/gateway-svc/role-id"),
    *(
        Request("POST", f"auth/keyturn-approle/role/{login}/secret-id")
        for login in ("gateway-svc", "keyvault-svc", "keyvault-maintenance")
    ),
    # Other mounts.
    Request("POST", "keyturn-pki/issue/app", {"uri_sans": "spiffe://keyturn.test/app/x"}),
    Request("LIST", "keyturn-pki/roles"),
    Request("LIST", "identity/entity/id"),
    Request("POST", "identity/entity", {"name": "x"}),
    Request("GET", "identity/oidc/token/keyturn-owner"),
    Request("GET", "identity/oidc/config"),
    Request("POST", "cubbyhole/x", {"a": "b"}),
]


def _denied_to(login: str) -> list[Request]:
    """Return what nobody may, and what the other logins may and *login* may not."""
    own = list(ALLOWED[login].values())
    requests = [
        *DENIED_TO_ALL,
        *(request for grants in ALLOWED.values() for request in grants.values()),
        *(request for constrained, _, request in CONSTRAINTS if constrained == login),
    ]
    return list({str(request): request for request in requests if request not in own}.values())


DENIED = {login: _denied_to(login) for login in ALLOWED}
