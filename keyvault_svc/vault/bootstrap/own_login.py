"""The bootstrap's own login, where nobody hands it a token."""

from __future__ import annotations

import asyncio
from typing import Final

from keyvault_svc.vault.bootstrap.errors import BootstrapError
from svc_runtime.call_context import bind_request_id
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import VaultLoginError, VaultUnavailableError
from svc_runtime.vault.login import VaultLogin, VaultToken
from svc_runtime.vault.route import VaultRoute
from svc_runtime.vault.session import VaultConnection

_STEP: Final = "login"


def log_in(connection: VaultConnection, login: VaultLogin) -> VaultToken:
    """Return a token from *login*, which nobody renews: a run takes seconds.

    Raises:
        BootstrapError: Vault is away or refuses the credential, or a file cannot be used.
    """
    try:
        return asyncio.run(_log_in(connection, login))
    except VaultUnavailableError:
        failure = BootstrapError(
            _STEP,
            "Vault cannot be reached, is sealed, or has no leader.",
            "Check its address, that it runs and is unsealed, and its CA file.",
            is_vault_away=True,
        )
    except VaultLoginError as error:
        failure = BootstrapError(
            _STEP,
            f"The login of [bootstrap_login] failed: {error}.",  # a constant text
            "Check the credential, and the role that docs/operators.md has an administrator make.",
        )
    except OSError:
        failure = BootstrapError(
            _STEP, "The CA file of Vault cannot be used.", "Check vault.ca_file."
        )
    raise failure  # outside of `except`: what is raised there can hold the credential


async def _log_in(connection: VaultConnection, login: VaultLogin) -> VaultToken:
    pool = connection.open_pool(login)
    try:
        adapter = AsyncVaultAdapter(
            pool,
            VaultRoute(connection.addresses),
            namespace=connection.namespace,
            timeout_seconds=connection.request_timeout_seconds,
        )
        with bind_request_id():
            return await login.log_in(adapter)
    finally:
        await pool.close()
