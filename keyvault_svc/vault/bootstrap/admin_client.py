"""The client of a bootstrap: an administrator's token, or that of the bootstrap's own login."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias

import hvac
from hvac import exceptions

from svc_runtime.secret_bytes import SecretBytes

AdminClient: TypeAlias = hvac.Client

_TIMEOUT_SECONDS: Final = 30


def admin_client(
    address: str, ca_file: Path | None, namespace: str | None, token: SecretBytes
) -> AdminClient:
    """Return a client for *address* that holds *token*.

    Proxies and certificates that the environment names have no say in where the token goes.
    """
    client = hvac.Client(
        url=address,
        token=token.expose().decode(),
        namespace=namespace,
        verify=str(ca_file) if ca_file else True,
        timeout=_TIMEOUT_SECONDS,
        allow_redirects=False,
    )
    client.session.trust_env = False
    return client


def revoke_token(client: AdminClient) -> bool:
    """Ask Vault to revoke the token of *client*; return whether it did."""
    try:
        client.auth.token.revoke_self()
    except (exceptions.VaultError, OSError):
        return False
    return True
