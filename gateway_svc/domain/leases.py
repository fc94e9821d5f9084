"""Leases from the key service's decision to the settlement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway_svc.domain.errors import (
    LeaseExpiredError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.lease_ports import (
    KeyLeaser,
    KeyOpener,
    Lease,
    LeaseOutcome,
    LeaseRequest,
    LeaseSettlement,
    Remaining,
)
from gateway_svc.domain.reached_limit import usd
from gateway_svc.domain.usage import Usage
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes

# What an app that goes away afterwards does not undo.
_CONCLUDED: Final = frozenset({LeaseOutcome.SERVED, LeaseOutcome.KEY_REJECTED})


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whose key served a call, and what is left of its limits."""

    request_id: str
    key: str
    key_version: int
    grant: str
    lease_id: str
    remaining: Remaining = field(default_factory=Remaining)

    def headers(self) -> Headers:
        """Return the receipt as headers, for HTTP and for gRPC metadata alike."""
        return (
            ("x-keyturn-request-id", self.request_id),
            ("x-keyturn-key", self.key),
            ("x-keyturn-key-version", str(self.key_version)),
            ("x-keyturn-grant", self.grant),
            ("x-keyturn-lease", self.lease_id),
            *_headers_of(self.remaining),
        )


def _headers_of(remaining: Remaining) -> Iterator[tuple[str, str]]:
    if remaining.requests is not None:
        yield "x-keyturn-remaining-requests", str(remaining.requests)
    if remaining.tokens is not None:
        yield "x-keyturn-remaining-tokens", str(remaining.tokens)
    if remaining.micro_usd is not None:
        yield "x-keyturn-remaining-usd", usd(remaining.micro_usd)


@dataclass(slots=True)
class LeaseUse:
    """A lease in use, and what is known so far of how it ends.

    Attributes:
        body_sha256: Of a body that was streamed, once it has passed.
    """

    request: LeaseRequest
    lease: Lease
    outcome: LeaseOutcome = LeaseOutcome.UNUSED
    http_status: int = 0
    openai_request_id: str = ""
    usage: Usage = field(default_factory=Usage)
    body_sha256: bytes = b""

    @property
    def receipt(self) -> Receipt:
        """What the app is told."""
        return Receipt(
            self.request.request_id,
            str(self.request.key),
            self.lease.key_version,
            self.lease.grant,
            self.lease.lease_id,
            self.lease.remaining,
        )

    def settlement(self) -> LeaseSettlement:
        """Return what the key service is told."""
        return LeaseSettlement(
            self.lease.lease_id,
            self.request.request_id,
            str(self.request.key),
            self.lease.grant,
            str(self.request.app),
            self.outcome,
            self.usage,
            self.http_status,
            self.openai_request_id,
            self.body_sha256,
        )


class Leases:
    """Acquires leases, opens their keys, and settles every one of them."""

    def __init__(self, leaser: KeyLeaser, opener: KeyOpener, clock: Clock) -> None:
        self._leaser = leaser
        self._opener = opener
        self._clock = clock

    @asynccontextmanager
    async def acquired(
        self, request: LeaseRequest, timeout_seconds: float
    ) -> AsyncIterator[LeaseUse]:
        """Enter with a lease; it is settled on the way out, however that is taken.

        Raises:
            ServiceError: The key service's refusal, or that it cannot be reached.
        """
        lease = await self._leaser.acquire(request, timeout_seconds)
        use = LeaseUse(request, lease)
        try:
            yield use
        except (UpstreamUnavailableError, UpstreamTimedOutError):
            use.outcome = LeaseOutcome.UPSTREAM_FAILED
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if use.outcome not in _CONCLUDED:
                use.outcome = LeaseOutcome.CANCELLED
            raise
        finally:
            self._leaser.settle(use.settlement())

    async def open(self, use: LeaseUse, timeout_seconds: float) -> SecretBytes:
        """Return the plaintext of the leased key, by exactly one decrypt.

        Raises:
            LeaseExpiredError: The lease's time is up.
            ServiceError: What `KeyOpener.open` raises.
        """
        if self._clock.now() >= use.lease.expire_time:
            raise LeaseExpiredError
        return await self._opener.open(use.request, use.lease, timeout_seconds)
