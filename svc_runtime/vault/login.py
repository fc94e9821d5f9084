"""How a service proves to Vault who it is. One class per auth method."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from hvac.api.auth_methods import JWT, AppRole, Kubernetes

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.connector import VaultConnector
from svc_runtime.vault.errors import VaultAnswerError, VaultLoginError


@dataclass(frozen=True, slots=True)
class VaultToken:
    """A token that this process may use.

    Attributes:
        client_token: The token itself.
        accessor: Name under which an operator can look up or revoke it; empty for a batch token.
        ttl_seconds: Validity from its issue or last renewal on; 0 when it never expires.
        is_renewable: Whether this process can and may extend its validity.
        is_ours: Whether it was issued for this process, which then revokes it at its end.
    """

    client_token: SecretBytes
    accessor: str
    ttl_seconds: int
    is_renewable: bool
    is_ours: bool = True

    @classmethod
    def from_answer(cls, answer: JSONObject) -> Self:
        """Read the `auth` member of *answer*, from a login or a renewal.

        Raises:
            VaultLoginError: *answer* holds no usable token.
        """
        match answer.get("auth"):
            case {
                "client_token": str(client_token),
                "lease_duration": int(ttl_seconds),
                "renewable": bool(is_renewable),
                **others,
            } if client_token.isascii() and client_token:
                accessor = str(others.get("accessor") or "")
                secret = SecretBytes(client_token.encode())
                return cls(secret, accessor, ttl_seconds, is_renewable)
            case _:
                raise VaultLoginError("Vault's answer to the login holds no token")


class VaultLogin(Protocol):
    """An auth method together with this service's credential for it."""

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Log in and return the new token.

        Args:
            adapter: Adapter without a token.

        Raises:
            VaultUnavailableError: Vault gave no usable answer.
            VaultLoginError: The credential is missing, malformed, or refused.
        """


@runtime_checkable
class ConnectorLogin(VaultLogin, Protocol):
    """A login whose credential is part of the TLS handshake."""

    def attach(self, connector: VaultConnector) -> None:
        """Use *connector*, through which every request of the session goes."""


@dataclass(frozen=True, slots=True)
class AppRoleLogin:
    """Login by AppRole.

    Attributes:
        mount: Path at which the auth method is mounted, such as `keyturn-approle`.
        role_id_file: File that holds the role id, with or without a final newline.
        secret_id_file: File that holds the secret id, likewise. Both are read at each login, so
            that an operator can replace them under a running service.
    """

    mount: str
    role_id_file: Path
    secret_id_file: Path

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Log in with the files' present content; see `VaultLogin.log_in`."""
        role_id = await asyncio.to_thread(read_credential, self.role_id_file)
        secret_id = await asyncio.to_thread(read_credential, self.secret_id_file)
        return await token_of(
            AppRole(adapter).login(
                role_id=role_id.expose().decode(),
                secret_id=secret_id.expose().decode(),
                mount_point=self.mount,
            )
        )


@dataclass(frozen=True, slots=True)
class KubernetesLogin:
    """Login by the token of a Kubernetes service account, which Vault has Kubernetes review.

    Attributes:
        mount: Path at which the auth method is mounted, such as `keyturn-kubernetes`.
        role: Role of the auth method.
        token_file: File with the token. Read at each login: Kubernetes replaces it before the
            token expires.
    """

    mount: str
    role: str
    token_file: Path

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Log in with the file's present content; see `VaultLogin.log_in`."""
        token = await asyncio.to_thread(read_credential, self.token_file)
        return await token_of(
            Kubernetes(adapter).login(self.role, token.expose().decode(), mount_point=self.mount)
        )


@dataclass(frozen=True, slots=True)
class JWTLogin:
    """Login by a JWT, whose signature and claims Vault checks itself.

    Attributes:
        mount: Path at which the auth method is mounted, such as `keyturn-jwt`.
        role: Role of the auth method.
        token_file: File with the JWT. Read at each login.
    """

    mount: str
    role: str
    token_file: Path

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        """Log in with the file's present content; see `VaultLogin.log_in`."""
        token = await asyncio.to_thread(read_credential, self.token_file)
        return await token_of(
            JWT(adapter).jwt_login(self.role, token.expose().decode(), path=self.mount)
        )


async def token_of(answer: Awaitable[JSONObject]) -> VaultToken:
    """Return the token that a login's *answer* brings.

    Raises:
        VaultUnavailableError: Vault gave no usable answer.
        VaultLoginError: Vault refused the credential, or its answer holds no token.
    """
    with contextlib.suppress(VaultAnswerError):
        return VaultToken.from_answer(await answer)
    raise VaultLoginError("Vault refused the credential")


def read_credential(path: Path) -> SecretBytes:
    """Read the one word that *path* holds.

    Raises:
        VaultLoginError: The file cannot be read, is empty, or holds something else than ASCII.
    """
    try:
        content = path.read_bytes().strip()
    except OSError as error:
        raise VaultLoginError("a credential file cannot be read") from error
    if not content or not content.isascii():
        raise VaultLoginError("a credential file is empty or not ASCII")
    return SecretBytes(content)
