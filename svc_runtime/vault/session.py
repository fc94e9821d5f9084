"""The one way from a service to Vault: a connection pool, a token, and calls with both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import hvac.adapters
import structlog

from svc_runtime.clock import Clock
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.connector import VaultConnector
from svc_runtime.vault.errors import VaultPermissionError, VaultUnavailableError
from svc_runtime.vault.login import ConnectorLogin, VaultLogin
from svc_runtime.vault.route import VaultRoute
from svc_runtime.vault.token_keeper import TokenKeeper

_log = structlog.get_logger()

Operation = Callable[[hvac.adapters.Adapter], Awaitable[JSONObject]]
"""A call of one of hvac's API classes, made with the adapter that it is given."""


@dataclass(frozen=True, slots=True)
class VaultConnection:
    """Where Vault is, and how to speak to it.

    Attributes:
        address: `https://host:port`.
        standby_addresses: More nodes of the same cluster, to turn to when this one fails.
        ca_file: PEM file of the CAs to trust instead of the system's, or None. Read at start.
        namespace: Namespace of every request, or None.
        request_timeout_seconds: Total time of one call, unless the call names another.
        max_connections: Size of the process's one connection pool.
    """

    address: str
    ca_file: Path | None = None
    namespace: str | None = None
    request_timeout_seconds: float = 5.0
    max_connections: int = 100
    standby_addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse plain HTTP: tokens and keys pass here.

        Raises:
            ValueError: An address is not an https URL.
        """
        if not all(address.startswith("https://") for address in self.addresses):
            raise ValueError("the address of Vault must start with https://")

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, in the order in which they are tried at first."""
        return (self.address, *self.standby_addresses)

    def open_pool(self, login: VaultLogin) -> aiohttp.ClientSession:
        """Open the connection pool; connections themselves are made on demand.

        Proxies, netrc and cookies are off: nothing but these settings decides where a token goes.

        Args:
            login: Is told of the connector if its credential is part of the TLS handshake.

        Raises:
            OSError: `ca_file` cannot be read, or is no certificate (`ssl.SSLError`).
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        connector = VaultConnector(context, self.max_connections)
        if isinstance(login, ConnectorLogin):
            login.attach(connector)
        pool = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        # aiohttp would repeat a read whose connection breaks before the answer: Vault may have
        # audited it by then. aiohttp's own test client switches that off in this way.
        pool._retry_connection = False  # noqa: SLF001  # there is no public switch
        return pool


class VaultSession:
    """A logged-in connection to Vault that outlives outages of Vault.

    It caches no answer. Unless told otherwise, it repeats an operation only where Vault has
    certainly not acted on it: the connection could not be made, the node is sealed or knows of no
    leader, or Vault refused it (403) because the token was revoked or had expired.
    """

    def __init__(self, connection: VaultConnection, login: VaultLogin, clock: Clock) -> None:
        """Prepare; `start` opens the pool and logs in.

        Args:
            connection: Where Vault is.
            login: How to get a token.
            clock: Source of monotonic time.
        """
        self._connection = connection
        self._login = login
        self._clock = clock
        self._pool: aiohttp.ClientSession | None = None
        self._adapter: AsyncVaultAdapter | None = None
        self._keeper: TokenKeeper | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a token is held that has not expired.

        A Vault that went down since does not make it False: calls find that out by themselves,
        and succeed again as soon as Vault is back.
        """
        return self._keeper is not None and self._keeper.is_valid

    @property
    def token_ttl_seconds(self) -> float | None:
        """How long the token is still valid; None without one, and for one that never expires."""
        return None if self._keeper is None else self._keeper.ttl_seconds

    async def start(self) -> None:
        """Open the pool and log in.

        Returns also when Vault cannot be reached or refuses the credential: calls then raise
        `VaultUnavailableError` until the login, repeated in the background, succeeds.

        Raises:
            OSError: The CA file cannot be used.
        """
        connection = self._connection
        self._pool = connection.open_pool(self._login)
        self._adapter = AsyncVaultAdapter(
            self._pool,
            VaultRoute(connection.addresses),
            namespace=connection.namespace,
            timeout_seconds=connection.request_timeout_seconds,
        )
        self._keeper = TokenKeeper(self._adapter, self._login, self._clock)
        await self._keeper.start()

    async def close(self) -> None:
        """Revoke the token, best effort within 1 second, and close the pool. Idempotent."""
        keeper, self._keeper = self._keeper, None
        pool, self._pool = self._pool, None
        if keeper is not None:
            await keeper.close()
        if pool is not None:
            await pool.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:  # told to stop while Vault is asked: nobody else would close the pool
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def call(
        self,
        operation: Operation,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float | None = None,
    ) -> JSONObject:
        """Run *operation* with the present token.

        Args:
            operation: Such as `lambda adapter: Transit(adapter).decrypt_data(...)`. It may run
                twice; the first run then had no effect at Vault.
            headers: Headers that Vault writes to its audit log.
            timeout_seconds: Total time of this call, a new login included. By default the
                connection's `request_timeout_seconds`.

        Returns:
            The answer's JSON object; empty for an answer without a body.

        Raises:
            VaultUnavailableError: Vault gave no usable answer in time, or denied the operation to
                a fresh token, which is an error in its policy.
            VaultNotFoundError: Nothing is stored there.
            VaultConflictError: A check-and-set write met a newer version.
            VaultBadRequestError: Vault found the request's content invalid.
        """
        if timeout_seconds is None:
            timeout_seconds = self._connection.request_timeout_seconds
        if self._adapter is None:
            raise VaultUnavailableError
        adapter = self._adapter.with_headers(headers).with_timeout(timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._call(operation, adapter)
        except TimeoutError:
            _log.warning("vault_unavailable", cause="timeout")
        raise VaultUnavailableError  # outside `except`: an error's context can hold the request

    async def _call(self, operation: Operation, adapter: AsyncVaultAdapter) -> JSONObject:
        keeper = self._keeper
        token = keeper.token if keeper is not None else None
        if keeper is None or token is None:
            raise VaultUnavailableError
        try:
            return await operation(adapter.with_token(token))
        except VaultPermissionError:
            pass  # a 403 means that Vault did nothing, so that once more is safe
        new_token = await keeper.replace(token)
        if new_token is not None:
            try:
                return await operation(adapter.with_token(new_token))
            except VaultPermissionError:
                pass  # not the token, then: the policy
        _log.error("vault_denied")
        raise VaultUnavailableError
