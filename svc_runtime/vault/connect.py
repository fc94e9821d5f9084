"""From settings to a session with Vault."""

from __future__ import annotations

from svc_runtime.clock import Clock
from svc_runtime.settings_models import VaultSettings
from svc_runtime.vault.login import AppRoleLogin
from svc_runtime.vault.session import VaultConnection, VaultSession


def vault_session(settings: VaultSettings, clock: Clock) -> VaultSession:
    """Return the session that *settings* describe, not started."""
    connection = VaultConnection(
        settings.address,
        settings.ca_file,
        settings.namespace,
        settings.request_timeout_seconds,
        settings.max_connections,
    )
    approle = settings.approle
    login = AppRoleLogin(approle.mount, approle.role_id_file, approle.secret_id_file)
    return VaultSession(connection, login, clock)
