"""Login by a TLS client certificate."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from hvac.utils import format_url

from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.connector import VaultConnector, load_pair
from svc_runtime.vault.errors import VaultLoginError
from svc_runtime.vault.login import VaultToken, token_of


@dataclass(slots=True)
class CertificateLogin:
    """Login by a TLS client certificate.

    Every request of the session presents it, because Vault asks for it again when the token is
    renewed. A renewal after the files were rotated, with the old certificate, is as good as one
    before; where Vault refuses it, a new login follows, with the new one.

    Attributes:
        mount: Path at which the auth method is mounted, such as `keyturn-cert`.
        role: Role of the auth method, there called a certificate.
        certificate: PEM file of the certificate chain.
        key: PEM file of its key, without password. Both are read at each login.
    """

    mount: str
    role: str
    certificate: Path
    key: Path
    _connector: VaultConnector | None = field(default=None, init=False, repr=False)

    def attach(self, connector: VaultConnector) -> None:
        """Present the certificate on connections of *connector*, from the next login on."""
        self._connector = connector

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Log in with the files' present content; see `VaultLogin.log_in`."""
        if self._connector is None:
            raise VaultLoginError("the login is not attached to a connection")
        try:
            # First into a context that serves nobody: a pair that does not fit would leave the
            # connections without any certificate.
            await asyncio.to_thread(self._check_pair)
            self._connector.present(self.certificate, self.key)
        except OSError as error:
            raise VaultLoginError("the client certificate or its key cannot be used") from error
        url = format_url("/v1/auth/{mount_point}/login", mount_point=self.mount)
        return await token_of(adapter.login(url, json={"name": self.role}))

    def _check_pair(self) -> None:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.certificate, self.key)
