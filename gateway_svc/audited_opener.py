"""Opens no key before the line that says so is written."""

from __future__ import annotations

from typing import Protocol

import structlog

from gateway_svc.domain.errors import LeaseExpiredError
from gateway_svc.domain.lease_ports import KeyOpener, KeyPurpose, Lease
from svc_runtime.audit_stream.stream import FLUSH_SECONDS
from svc_runtime.call_context import call_or_none
from svc_runtime.clock import Clock
from svc_runtime.log_fields import LogField
from svc_runtime.secret_bytes import SecretBytes

_log = structlog.get_logger()


class Flushable(Protocol):
    """The audit stream, as far as it is waited for."""

    async def flushed(self, timeout_seconds: float) -> None:
        """Return once what was logged is written.

        Raises:
            AuditUnavailableError: It is not within *timeout_seconds*.
        """


class AuditedOpener:
    """`KeyOpener` that writes event `key_opening` first, whatever the key is opened for."""

    def __init__(self, opener: KeyOpener, stream: Flushable, clock: Clock) -> None:
        self._opener = opener
        self._stream = stream
        self._clock = clock

    async def open(self, purpose: KeyPurpose, lease: Lease, timeout_seconds: float) -> SecretBytes:
        """Return the plaintext; see `KeyOpener.open`.

        Raises:
            AuditUnavailableError: The line cannot be written; Vault was not asked.
            LeaseExpiredError: The lease's time was up before the line was written.
            ServiceError: What the opener raises.
        """
        start = self._clock.monotonic()
        _log.info(
            "key_opening",
            request_id=purpose.request_id,
            lease=lease.lease_id,
            key=str(purpose.key),
            key_version=lease.key_version,
            grant=lease.grant,
            app=str(purpose.app),
        )
        if (call := call_or_none()) is not None:
            # However the call ends, its record names the lease under which a key was opened.
            call.fields[LogField.LEASE] = lease.lease_id
        await self._stream.flushed(min(timeout_seconds, FLUSH_SECONDS))
        if self._clock.now() >= lease.expire_time:
            raise LeaseExpiredError
        remaining = max(timeout_seconds - (self._clock.monotonic() - start), 0.001)
        return await self._opener.open(purpose, lease, remaining)
