"""Vault as the OIDC issuer: signed tokens that name a person or an app."""

from __future__ import annotations

from typing import Final

from keyvault_svc.vault.bootstrap.convergence import fields_step, mount_step
from keyvault_svc.vault.bootstrap.options import MAX_TOKEN_TTL_SECONDS, BootstrapOptions
from keyvault_svc.vault.bootstrap.second_factor_steps import (
    SECOND_FACTOR_LOGIN_SECONDS,
    second_factor_steps,
)
from keyvault_svc.vault.bootstrap.step import Step

PEOPLE_MOUNT: Final = "keyturn-people"
APPS_MOUNT: Final = "keyturn-apps"
OWNER_AUDIENCE: Final = "keyturn-owners"
APP_AUDIENCE: Final = "keyturn-apps"
_KEY: Final = "keyturn"
_ROTATION_SECONDS: Final = 24 * 60 * 60
# Vault renders each parameter as JSON, quotes included (docs "Identity tokens", templates).
_OWNER_CLAIMS: Final = (
    '{"preferred_username": {{identity.entity.name}}, "groups": {{identity.entity.groups.names}}}'
)
# Vault keeps the name `auth_time` to itself. A login with two factors fetches this token within its
# life, so the time in it is never later than the login was, and at most that life earlier.
AUTH_TIME_CLAIM: Final = "keyturn_auth_time"
_SECOND_FACTOR_CLAIMS: Final = (
    f'{_OWNER_CLAIMS[:-1]}, "amr": ["pwd", "otp"], '
    f'"{AUTH_TIME_CLAIM}": {{{{time.now.minus.{SECOND_FACTOR_LOGIN_SECONDS}s}}}}}}'
)
_APP_CLAIMS: Final = '{"keyturn_app": {{identity.entity.metadata.spiffe_id}}}'


def oidc_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep the issuer; none when no issuer is wanted.

    The key comes before the roles, which Vault refuses for a key it does not know.
    """
    if options.issuer is None:
        return []
    return [
        fields_step("OIDC issuer", "identity/oidc/config", {"issuer": options.issuer.rstrip("/")}),
        fields_step(
            f"OIDC signing key {_KEY}",
            f"identity/oidc/key/{_KEY}",
            {
                "algorithm": "RS256",
                "rotation_period": _ROTATION_SECONDS,
                "verification_ttl": MAX_TOKEN_TTL_SECONDS,
                "allowed_client_ids": [OWNER_AUDIENCE, APP_AUDIENCE],
            },
        ),
        _role_step("keyturn-owner", OWNER_AUDIENCE, _OWNER_CLAIMS, options.owner_token_ttl_seconds),
        *second_factor_steps(),
        _role_step(
            "keyturn-owner-mfa",
            OWNER_AUDIENCE,
            _SECOND_FACTOR_CLAIMS,
            options.owner_token_ttl_seconds,
        ),
        _role_step("keyturn-app", APP_AUDIENCE, _APP_CLAIMS, options.app_token_ttl_seconds),
        mount_step("sys/auth", PEOPLE_MOUNT, "userpass"),
        mount_step("sys/auth", APPS_MOUNT, "userpass"),
    ]


def _role_step(role: str, audience: str, claims: str, ttl_seconds: int) -> Step:
    return fields_step(
        f"OIDC role {role}",
        f"identity/oidc/role/{role}",
        {"key": _KEY, "client_id": audience, "template": claims, "ttl": ttl_seconds},
    )
