"""What has to be missing or wrong, so that a bootstrap needs a line of its policy.

A line that is in neither table is needed by every run: it reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.keyvault_svc.login_choices import FOREIGN_KEY, public_pem

Grant = tuple[str, str]
Damage = Mapping[str, Mapping[str, Any]]

_FOLDER = Path(__file__).resolve().parents[3] / "deploy/vault/policies"
POLICY = (_FOLDER / "keyturn-bootstrap.hcl").read_text(encoding="utf-8")
READ_POLICY = (_FOLDER / "keyturn-bootstrap-read.hcl").read_text(encoding="utf-8")
_GRANT = re.compile(r'^path "([^"]+)" \{\n\s*capabilities\s*= \[([^\]]*)\]', re.MULTILINE)


def grants_in(policy: str) -> set[Grant]:
    """Return each path of *policy* with each of its capabilities."""
    return {
        (path, capability)
        for path, found in _GRANT.findall(policy)
        for capability in re.findall(r'"(\w+)"', found)
    }


ALL_GRANTS = grants_in(POLICY)
# OpenBao enables no audit device by request, and a token that was handed over is not revoked.
_OTHERWISE_USED = {"sys/audit/keyturn", "auth/token/revoke-self"}
GRANTS = {grant for grant in ALL_GRANTS if grant[0] not in _OTHERWISE_USED}
# Only a dry run lists the issuers of a mount that is not there.
LISTING = ("keyturn-pki/issuers", "list")

_LOGINS = {
    "keyturn-kubernetes": "kubernetes",
    "keyturn-cert": "certificate",
    "keyturn-jwt": "jwt",
}
_MOUNTS = [
    *(f"sys/mounts/keyturn-{engine}" for engine in ("kv", "transit", "pki")),
    *(f"sys/auth/keyturn-{name}" for name in ("approle", "people", "people-mfa", "apps")),
    *(f"sys/auth/{mount}" for mount in _LOGINS),
]
_FURTHER_KEYS = ("fingerprint", "audit-keyvault-svc", "audit-gateway-svc")
_POLICIES = (
    "keyvault-svc",
    "gateway-svc",
    "keyvault-maintenance",
    "keyturn-owner",
    "keyturn-owner-mfa",
    "keyturn-app",
)
_OIDC_ROLES = ("owner", "owner-mfa", "app")
_LIFE = "sys/auth/keyturn-people-mfa/tune"
TOTP = "the id that the server gave to the TOTP method"
_TOTP_METHOD = f"identity/mfa/method/totp/{TOTP}"
_ENFORCEMENT = "identity/mfa/login-enforcement/keyturn-people-mfa"
_CREATED = {
    "auth/keyturn-approle/role/+": "auth/keyturn-approle/role/gateway-svc",
    "auth/keyturn-kubernetes/role/+": "auth/keyturn-kubernetes/role/gateway-svc",
    "auth/keyturn-jwt/role/+": "auth/keyturn-jwt/role/gateway-svc",
    **{f"identity/oidc/role/keyturn-{n}": f"identity/oidc/role/keyturn-{n}" for n in _OIDC_ROLES},
}

# To be deleted before, after what is to be written.
DELETED: dict[Grant, list[str]] = {
    **{(path, capability): [path] for path in _MOUNTS for capability in ("update", "sudo")},
    **{(path, "create"): [deleted] for path, deleted in _CREATED.items()},
    ("identity/oidc/key/keyturn", "create"): [
        *(f"identity/oidc/role/keyturn-{name}" for name in _OIDC_ROLES),
        "identity/oidc/key/keyturn",
    ],
    (_ENFORCEMENT, "update"): [_ENFORCEMENT],
    ("identity/mfa/method/totp", "update"): [_ENFORCEMENT, _TOTP_METHOD],
    ("keyturn-transit/keys/openai", "update"): ["sys/mounts/keyturn-transit"],
    **{
        (f"keyturn-transit/keys/{key}", "update"): [f"keyturn-transit/keys/{key}"]
        for key in _FURTHER_KEYS
    },
    ("keyturn-pki/root/generate/internal", "update"): ["sys/mounts/keyturn-pki"],
    LISTING: ["sys/mounts/keyturn-pki"],
    **{(f"sys/policies/acl/{name}", "update"): [f"sys/policies/acl/{name}"] for name in _POLICIES},
}

_PUBLIC_KEY = public_pem(FOREIGN_KEY).decode()
_TTL = {"token_ttl": 60}
# To be written before.
WRITTEN: dict[Grant, Damage] = {
    **{
        (f"keyturn-transit/keys/{key}", "update"): {
            f"keyturn-transit/keys/{key}/config": {"deletion_allowed": True}
        }
        for key in _FURTHER_KEYS
    },
    ("auth/keyturn-jwt/config", "update"): {
        "auth/keyturn-jwt/config": {
            "jwt_validation_pubkeys": [_PUBLIC_KEY],
            "bound_issuer": "other",
        }
    },
    **{(_LIFE, capability): {_LIFE: {"max_lease_ttl": 90}} for capability in ("update", "sudo")},
    ("identity/mfa/method/totp/+", "update"): {_TOTP_METHOD: {"issuer": "Other"}},
    **{
        ("sys/config/auditing/request-headers/+", capability): {
            "sys/config/auditing/request-headers/X-Keyturn-Key": {"hmac": True}
        }
        for capability in ("update", "sudo")
    },
    ("keyturn-kv/config", "update"): {"keyturn-kv/config": {"max_versions": 3}},
    **{
        (f"keyturn-transit/keys/{key}/config", "update"): {
            f"keyturn-transit/keys/{key}/config": {"deletion_allowed": True}
        }
        for key in ("openai", *_FURTHER_KEYS)
    },
    ("auth/keyturn-approle/role/+", "update"): {"auth/keyturn-approle/role/gateway-svc": _TTL},
    ("auth/keyturn-kubernetes/role/+", "update"): {
        "auth/keyturn-kubernetes/role/gateway-svc": _TTL
    },
    ("auth/keyturn-cert/certs/+", "update"): {"auth/keyturn-cert/certs/gateway-svc": _TTL},
    ("auth/keyturn-jwt/role/+", "update"): {
        "auth/keyturn-jwt/role/gateway-svc": {"role_type": "jwt", **_TTL}
    },
    ("auth/keyturn-kubernetes/config", "update"): {
        "auth/keyturn-kubernetes/config": {
            "kubernetes_host": "https://other.test",
            "kubernetes_ca_cert": "x",
            "disable_local_ca_jwt": True,
        }
    },
    ("sys/mounts/keyturn-pki/tune", "update"): {
        "sys/mounts/keyturn-pki/tune": {"max_lease_ttl": 60}
    },
    ("keyturn-pki/roles/+", "update"): {"keyturn-pki/roles/app": {"allow_any_name": True}},
    ("identity/oidc/config", "update"): {"identity/oidc/config": {"issuer": "https://other.test"}},
    ("identity/oidc/key/keyturn", "update"): {
        "identity/oidc/key/keyturn": {"allowed_client_ids": ["*"]}
    },
    **{
        (f"identity/oidc/role/keyturn-{name}", "update"): {
            f"identity/oidc/role/keyturn-{name}": {"key": "keyturn", "template": "{}"}
        }
        for name in _OIDC_ROLES
    },
}


def kind_of(path: str) -> str:
    """Return the way to log in whose bootstrap needs *path*."""
    return next((kind for mount, kind in _LOGINS.items() if mount in path), "approle")
