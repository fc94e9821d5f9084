"""Takes wrapped keys out of Vault, once, and only those that the key service wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from hvac.api.system_backend import Wrapping

from gateway_svc.domain.errors import (
    HandoffForgedError,
    HandoffSpentError,
    LeaseExpiredError,
    SealedKeyUnusableError,
)
from gateway_svc.domain.lease_ports import Lease
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultBadRequestError, VaultNotFoundError
from svc_runtime.vault.session import VaultSession

_log = structlog.get_logger()

_CREATION_PATH: Final = "sys/wrapping/wrap"
_MAX_TTL: Final = timedelta(seconds=30)  # what the key service's policy allows


class Unwrapper:
    """Exchanges wrapping tokens for sealed keys."""

    def __init__(self, session: VaultSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def sealed_key(
        self,
        token: SecretBytes,
        lease: Lease,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> str:
        """Return the sealed key that *token* stands for.

        1. Ask Vault where it was made, and for how long: anybody can wrap something.
        2. Take it. Vault lets that happen once.

        Args:
            token: What the lease hands over.
            lease: The lease.
            headers: Headers that Vault writes to its audit log.
            timeout_seconds: For each of the two.

        Raises:
            HandoffForgedError: It was not made by the key service's wrapping.
            HandoffSpentError: It was taken before, and its time is not up.
            LeaseExpiredError: Its time is up.
            SealedKeyUnusableError: What it stood for is no sealed key.
            VaultUnavailableError: Vault cannot answer.
        """
        try:
            about = await self._session.call(  # (1)
                lambda adapter: adapter.post(
                    "/v1/sys/wrapping/lookup",
                    json={"token": token.expose().decode("ascii", errors="replace")},
                ),
                headers,
                timeout_seconds=timeout_seconds,
            )
        except (VaultBadRequestError, VaultNotFoundError):
            about = None
        if about is None:
            raise self._gone(lease)
        if not _is_ours(about.get("data")):
            _log.error("handoff_forged", lease=lease.lease_id)
            raise HandoffForgedError
        try:
            answer = await self._session.call(  # (2)
                lambda adapter: Wrapping(adapter).unwrap(token=token.expose().decode("ascii")),
                headers,
                timeout_seconds=timeout_seconds,
            )
        except (VaultBadRequestError, VaultNotFoundError):
            answer = None
        if answer is None:
            raise self._gone(lease)
        if self._clock.now() >= lease.expire_time:
            raise LeaseExpiredError  # taken in time, and too late to be opened
        match answer.get("data"):
            case {"sealed_key": str(sealed_key)}:
                return sealed_key
            case _:
                raise SealedKeyUnusableError

    def _gone(self, lease: Lease) -> ServiceError:
        """Return why a token is good no longer. Vault does not tell, but the clock does."""
        if self._clock.now() >= lease.expire_time:
            return LeaseExpiredError()
        _log.error("handoff_spent", lease=lease.lease_id)
        return HandoffSpentError()


def _is_ours(about: object) -> bool:
    match about:
        case {"creation_path": str(path), "creation_ttl": int(ttl)}:
            return path == _CREATION_PATH and timedelta(seconds=ttl) <= _MAX_TTL
        case _:
            return False
