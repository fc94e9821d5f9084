"""Keeps one valid Vault token: logs in, renews, logs in anew when that is not enough."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from dataclasses import dataclass

import structlog
from hvac.api.auth_methods import Token

from svc_runtime.call_context import bind_request_id
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import VaultAnswerError, VaultLoginError, VaultUnavailableError
from svc_runtime.vault.login import VaultLogin, VaultToken

_log = structlog.get_logger()

_FIRST_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 5.0
_RENEW_AFTER = 2 / 3  # of the TTL; what is left is the time to ride out an outage of Vault
_REPLACE_INTERVAL_SECONDS = 5.0  # refusals that no new token cures must not become logins
_REVOKE_TIMEOUT_SECONDS = 1.0  # at shutdown; an unrevoked token dies of its TTL


def backoff_seconds(failures: int, jitter: float) -> float:
    """Return how long to wait after *failures* failures in a row.

    Args:
        failures: At least 1.
        jitter: From 0 to 1; keeps replicas that failed together from retrying together.

    Returns:
        Seconds: between half of and a full 0.2, 0.4, 0.8 ... at most 5.
    """
    doublings = min(failures - 1, 10)  # far past the maximum, and far from overflowing
    full = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0**doublings)
    return full * (1 + jitter) / 2


def renewal_delay_seconds(ttl_seconds: int, jitter: float) -> float:
    """Return how long after its issue a token is to be renewed.

    Args:
        ttl_seconds: The token's TTL; 0 when it never expires.
        jitter: From 0 to 1; spreads the renewals of replicas that started together.

    Returns:
        Seconds: 60 to 67 % of the TTL; infinite for a token that never expires.
    """
    if ttl_seconds == 0:
        return math.inf
    return ttl_seconds * _RENEW_AFTER * (1 - 0.1 * jitter)


@dataclass(frozen=True, slots=True)
class _HeldToken:
    """The present token, with monotonic times in seconds."""

    token: VaultToken
    login_ttl_seconds: int
    renew_time: float
    expire_time: float


class TokenKeeper:
    """Owns the process's Vault token and the task that keeps it valid."""

    def __init__(self, adapter: AsyncVaultAdapter, login: VaultLogin, clock: Clock) -> None:
        """Prepare; `start` does the first login.

        Args:
            adapter: Adapter without a token.
            login: How to get a token.
            clock: Source of monotonic time.
        """
        self._adapter = adapter
        self._login = login
        self._clock = clock
        self._held: _HeldToken | None = None
        self._held_changed = asyncio.Event()
        self._login_task: asyncio.Task[bool] | None = None
        self._upkeep_task: asyncio.Task[None] | None = None
        self._replace_time = -math.inf

    @property
    def token(self) -> SecretBytes | None:
        """The present token, or None before the first login that succeeds."""
        return self._held.token.client_token if self._held else None

    @property
    def is_valid(self) -> bool:
        """Whether the token's TTL has not run out and something takes care that it does not."""
        is_kept = self._upkeep_task is not None and not self._upkeep_task.done()
        return is_kept and self._held is not None and self._now() < self._held.expire_time

    @property
    def ttl_seconds(self) -> float | None:
        """How long the token is still valid; None without one, and for one that never expires."""
        if self._held is None or self._held.expire_time == math.inf:
            return None
        return max(0.0, self._held.expire_time - self._now())

    async def start(self) -> None:
        """Log in once and keep at it in the background, whether or not that succeeded."""
        with bind_request_id():
            await self._log_in_once()
        self._upkeep_task = asyncio.create_task(self._keep_valid(), name="vault-token-upkeep")

    async def replace(self, refused: SecretBytes) -> SecretBytes | None:
        """Return a token to try instead of *refused*, to which Vault answered 403.

        Any number of concurrent calls cause one login. Logins for this reason are at least 5
        seconds apart.

        Returns:
            The token, or None when *refused* is so new that a newer one would not help.

        Raises:
            VaultUnavailableError: There is no other token, because the login failed.
        """
        is_logging_in = self._login_task is not None and not self._login_task.done()
        if self.token is refused and not is_logging_in:
            if self._now() < self._replace_time + _REPLACE_INTERVAL_SECONDS:
                return None
            self._replace_time = self._now()
        if self.token is refused and not await self._log_in_once():
            raise VaultUnavailableError
        return self.token

    async def close(self) -> None:
        """Stop, forget the token, and ask Vault to revoke one of ours, for at most 1 second."""
        tasks = [task for task in (self._upkeep_task, self._login_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        held, self._held = self._held, None
        if held is not None and held.token.is_ours:
            adapter = self._adapter.with_token(held.token.client_token)
            adapter = adapter.with_timeout(_REVOKE_TIMEOUT_SECONDS)
            with (
                bind_request_id(),
                contextlib.suppress(VaultUnavailableError, VaultAnswerError),
            ):
                await Token(adapter).revoke_self()

    async def _keep_valid(self) -> None:
        failures = 0 if self._held else 1
        while True:
            if failures:
                await asyncio.sleep(backoff_seconds(failures, _jitter()))
            else:
                await self._until_due()
            with bind_request_id():
                failures = 0 if await self._refresh() else failures + 1

    async def _until_due(self) -> None:
        """Wait until the token is to be renewed, or was replaced by one with other times."""
        self._held_changed.clear()
        renew_time = self._held.renew_time if self._held else self._now()
        delay = None if renew_time == math.inf else renew_time - self._now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._held_changed.wait()

    async def _refresh(self) -> bool:
        """Renew or replace the token if it is due. Return whether that is settled."""
        held = self._held
        if held is not None and self._now() < held.renew_time:
            return True
        if held is None or not held.token.is_renewable or self._now() >= held.expire_time:
            return await self._log_in_once()
        return await self._renew(held)

    async def _renew(self, held: _HeldToken) -> bool:
        try:
            adapter = self._adapter.with_token(held.token.client_token)
            renewed = VaultToken.from_answer(await Token(adapter).renew_self())
        except (VaultUnavailableError, VaultAnswerError, VaultLoginError) as error:
            # Also when Vault seems down: OpenBao answers 500 where the maximum TTL is reached.
            _log.warning("vault_token_renewal_failed", cause=type(error).__name__)
            return await self._log_in_once()
        if renewed.ttl_seconds * 2 <= held.login_ttl_seconds:
            # Vault grants less and less where the maximum TTL nears.
            return await self._log_in_once()
        if self._held is held:
            # The same bytes object as before: `replace` tells tokens apart by identity.
            token = VaultToken(
                held.token.client_token,
                renewed.accessor,
                renewed.ttl_seconds,
                renewed.is_renewable,
            )
            self._hold(token, held.login_ttl_seconds)
        _log.info("vault_token_renewed", ttl_seconds=renewed.ttl_seconds)
        return True

    async def _log_in_once(self) -> bool:
        """Log in, or wait for the login that is under way. Return whether it succeeded.

        The login is a task of its own, so that a caller who gives up does not stop it for others.
        """
        if self._login_task is None or self._login_task.done():
            self._login_task = asyncio.create_task(self._log_in(), name="vault-login")
        task = self._login_task
        await asyncio.wait({task})
        return not task.cancelled() and task.result()

    async def _log_in(self) -> bool:
        try:
            token = await self._login.log_in(self._adapter)
        except VaultUnavailableError:
            _log.warning("vault_login_failed", cause="unavailable")
        except VaultLoginError as error:
            _log.error("vault_login_failed", cause=str(error))  # a constant text
        else:
            self._hold(token, token.ttl_seconds)
            _log.info("vault_login", ttl_seconds=token.ttl_seconds)
            return True
        return False

    def _hold(self, token: VaultToken, login_ttl_seconds: int) -> None:
        now = self._now()
        renew_time = now + renewal_delay_seconds(token.ttl_seconds, _jitter())
        expire_time = now + (token.ttl_seconds or math.inf)
        self._held = _HeldToken(token, login_ttl_seconds, renew_time, expire_time)
        self._held_changed.set()

    def _now(self) -> float:
        return self._clock.monotonic()


def _jitter() -> float:
    return random.random()  # noqa: S311  # spreads load, guards nothing
