"""From settings to a session with Vault."""

from __future__ import annotations

from svc_runtime.clock import Clock
from svc_runtime.settings_models import VaultLoginSettings, VaultSettings
from svc_runtime.vault.certificate_login import CertificateLogin
from svc_runtime.vault.login import AppRoleLogin, JWTLogin, KubernetesLogin, VaultLogin
from svc_runtime.vault.session import VaultConnection, VaultSession
from svc_runtime.vault.token_file_login import TokenFileLogin


def vault_session(
    settings: VaultSettings, clock: Clock, login: VaultLogin | None = None
) -> VaultSession:
    """Return the session that *settings* describe, not started.

    Args:
        settings: Where Vault is, and how to log in.
        clock: Source of monotonic time.
        login: How to log in instead, such as for a job that has an identity of its own.
    """
    return VaultSession(connection_of(settings), login or login_of(settings), clock)


def connection_of(settings: VaultSettings) -> VaultConnection:
    """Return where *settings* say that Vault is, and how to speak to it."""
    return VaultConnection(
        settings.address,
        settings.ca_file,
        settings.namespace,
        settings.request_timeout_seconds,
        settings.max_connections,
        settings.standby_addresses,
    )


def login_of(settings: VaultLoginSettings) -> VaultLogin:
    """Return the login that *settings* describe."""
    if (approle := settings.approle) is not None:
        return AppRoleLogin(approle.mount, approle.role_id_file, approle.secret_id_file)
    if (kubernetes := settings.kubernetes) is not None:
        return KubernetesLogin(kubernetes.mount, kubernetes.role, kubernetes.token_file)
    if (cert := settings.certificate) is not None:
        return CertificateLogin(cert.mount, cert.role, cert.certificate, cert.key)
    if (jwt := settings.jwt) is not None:
        return JWTLogin(jwt.mount, jwt.role, jwt.token_file)
    if (token := settings.token) is not None:
        return TokenFileLogin(token.file)
    raise AssertionError("the settings' own check lets exactly one login pass")
