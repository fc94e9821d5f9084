"""How the services log in: one auth method, and a role for each login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyvault_svc.vault.bootstrap.convergence import (
    RIGHT,
    converge_fields,
    differing_fields,
    fields_step,
    mount_step,
)
from keyvault_svc.vault.bootstrap.errors import SetupConflictError
from keyvault_svc.vault.bootstrap.local_files import text_of
from keyvault_svc.vault.bootstrap.login_options import (
    LOGINS,
    AppRoleLogins,
    CertificateLogins,
    JWTLogins,
    KubernetesLogins,
)
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

APPROLE_MOUNT: Final = "keyturn-approle"
KUBERNETES_MOUNT: Final = "keyturn-kubernetes"
CERTIFICATE_MOUNT: Final = "keyturn-cert"
JWT_MOUNT: Final = "keyturn-jwt"
_MOUNTS: Final = (APPROLE_MOUNT, KUBERNETES_MOUNT, CERTIFICATE_MOUNT, JWT_MOUNT)
_TOKEN_TTL_SECONDS: Final = 15 * 60  # a stolen token that is not renewed dies this soon
_TOKEN_MAX_TTL_SECONDS: Final = 24 * 60 * 60  # renewed or not, a service logs in anew each day


def login_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep the auth method that *options* choose, and its roles."""
    match options.login:
        case AppRoleLogins():
            return [*_approle_steps(), _other_logins_step(APPROLE_MOUNT)]
        case KubernetesLogins() as logins:
            return [*_kubernetes_steps(logins), _other_logins_step(KUBERNETES_MOUNT)]
        case CertificateLogins() as logins:
            steps = _certificate_steps(logins, options.trust_domain)
            return [*steps, _other_logins_step(CERTIFICATE_MOUNT)]
        case JWTLogins() as logins:
            return [*_jwt_steps(logins), _other_logins_step(JWT_MOUNT)]


def _token_fields(login: str) -> dict[str, object]:
    """Return what the tokens of *login* are like, whatever it logs in with."""
    return {
        "token_policies": [login],
        # The default policy would add cubbyhole, wrapping and the identity of the token.
        "token_no_default_policy": True,
        "token_ttl": _TOKEN_TTL_SECONDS,
        "token_max_ttl": _TOKEN_MAX_TTL_SECONDS,
        "token_period": 0,  # a period would lift token_max_ttl
    }


def _approle_steps() -> list[Step]:
    return [
        mount_step("sys/auth", APPROLE_MOUNT, "approle"),
        *(
            fields_step(
                f"AppRole {login}",
                f"auth/{APPROLE_MOUNT}/role/{login}",
                {"bind_secret_id": True, **_token_fields(login)},
            )
            for login in LOGINS
        ),
    ]


def _kubernetes_steps(logins: KubernetesLogins) -> list[Step]:
    return [
        mount_step("sys/auth", KUBERNETES_MOUNT, "kubernetes"),
        Step("Kubernetes API server", lambda vault: _converge_api_server(vault, logins)),
        *(_kubernetes_role_step(login, logins) for login in LOGINS),
    ]


def _kubernetes_role_step(login: str, logins: KubernetesLogins) -> Step:
    namespace, _, account = logins.service_accounts[login].partition("/")
    return fields_step(
        f"Kubernetes role {login}",
        f"auth/{KUBERNETES_MOUNT}/role/{login}",
        {
            "bound_service_account_names": [account],
            "bound_service_account_namespaces": [namespace],
            # Would let in further namespaces.
            "bound_service_account_namespace_selector": "",
            "audience": logins.audience,
            **_token_fields(login),
        },
    )


def _converge_api_server(vault: VaultAdmin, logins: KubernetesLogins) -> Finding:
    path = f"auth/{KUBERNETES_MOUNT}/config"
    wanted = {
        "kubernetes_host": logins.host,
        "kubernetes_ca_cert": text_of(logins.ca_file) if logins.ca_file else "",
        "disable_local_ca_jwt": not logins.is_reviewed_by_vault,
    }
    current = vault.read(path) or {}
    # A write replaces the whole configuration, and this cannot be read back.
    if current.get("token_reviewer_jwt_set") and differing_fields(current, wanted):
        raise SetupConflictError(
            f"{path} holds a token_reviewer_jwt, which a change of the rest would remove.",
            f"Write {', '.join(differing_fields(current, wanted))} and that token yourself.",
        )
    return converge_fields(vault, path, wanted)


def _certificate_steps(logins: CertificateLogins, trust_domain: str) -> list[Step]:
    return [
        mount_step("sys/auth", CERTIFICATE_MOUNT, "cert"),
        *(_certificate_role_step(login, logins, trust_domain) for login in LOGINS),
    ]


def _certificate_role_step(login: str, logins: CertificateLogins, trust_domain: str) -> Step:
    uri_sans = list(logins.uri_sans.get(login, [f"spiffe://{trust_domain}/{login}"]))

    def converge(vault: VaultAdmin) -> Finding:
        wanted = {
            "certificate": text_of(logins.ca_file),
            "allowed_uri_sans": uri_sans,
            **_token_fields(login),
        }
        return converge_fields(vault, f"auth/{CERTIFICATE_MOUNT}/certs/{login}", wanted)

    return Step(f"certificate login {login}", converge)


def _jwt_steps(logins: JWTLogins) -> list[Step]:
    def converge_config(vault: VaultAdmin) -> Finding:
        return converge_fields(vault, f"auth/{JWT_MOUNT}/config", _jwt_config(logins))

    return [
        mount_step("sys/auth", JWT_MOUNT, "jwt"),
        Step("JWT issuer", converge_config),
        *(
            fields_step(
                f"JWT role {login}",
                f"auth/{JWT_MOUNT}/role/{login}",
                {
                    "role_type": "jwt",
                    "user_claim": "sub",
                    "bound_subject": logins.subjects[login],
                    "bound_audiences": list(logins.audiences),
                    **_token_fields(login),
                },
            )
            for login in LOGINS
        ),
    ]


def _jwt_config(logins: JWTLogins) -> Mapping[str, object]:
    ca = text_of(logins.ca_file) if logins.ca_file else ""
    keys = text_of(logins.public_keys_file) if logins.public_keys_file else ""
    return {
        "oidc_discovery_url": logins.discovery_url or "",
        "oidc_discovery_ca_pem": ca if logins.discovery_url else "",
        "jwks_url": logins.jwks_url or "",
        "jwks_ca_pem": ca if logins.jwks_url else "",
        "jwt_validation_pubkeys": _pem_blocks(keys),
        "bound_issuer": logins.issuer or "",
    }


def _pem_blocks(text: str) -> list[str]:
    end = "-----END PUBLIC KEY-----"
    return [f"{block.strip()}\n{end}" for block in text.split(end) if block.strip()]


def _other_logins_step(mount: str) -> Step:
    """Return a step that tells of what an earlier choice left: it still lets services in."""

    def converge(vault: VaultAdmin) -> Finding:
        mounted = vault.read("sys/auth") or {}
        others = [f"{other}/" for other in _MOUNTS if other != mount and f"{other}/" in mounted]
        if not others:
            return RIGHT
        advice = "disable it when no service logs in there any more"
        return Finding(StepOutcome.OK, f"also mounted: {', '.join(others)}; {advice}")

    return Step("other logins", converge)
