"""The administrator's client."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import hvac

_TIMEOUT_SECONDS: Final = 30


def admin_client(
    address: str, ca_file: Path | None, namespace: str | None, token: str
) -> hvac.Client:
    """Return a client for *address* that holds *token*.

    Proxies and certificates that the environment names have no say in where the token goes.
    """
    client = hvac.Client(
        url=address,
        token=token,
        namespace=namespace,
        verify=str(ca_file) if ca_file else True,
        timeout=_TIMEOUT_SECONDS,
        allow_redirects=False,
    )
    client.session.trust_env = False
    return client
