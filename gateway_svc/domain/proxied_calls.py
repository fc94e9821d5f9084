"""The use case of a call that a proxy sends itself: lease, open, hand the key to it, settle."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.errors import UpstreamNotAllowedError
from gateway_svc.domain.headers import request_headers
from gateway_svc.domain.lease_ports import KeyLeaser, KeyOpener, LeaseOutcome
from gateway_svc.domain.leases import Leases, Receipt
from gateway_svc.domain.relay import AppCall, lease_request
from gateway_svc.domain.request_facts import RequestFacts, facts_of
from gateway_svc.domain.upstream_ports import StreamedBody
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

# Larger bodies are parsed beside the event loop, so that small calls do not wait for them.
_SMALL_BODY_BYTES: Final = 256 * 1024
_PARSERS: Final = 2


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key for a proxy to send with one request.

    Attributes:
        receipt: Whose key it is.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
    """

    receipt: Receipt
    api_key: SecretBytes
    may_choose_account: bool


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """Where the proxy sends calls.

    Attributes:
        base_url: Where the proxy's route leads, by the operator's word.
        default_base_url: Where keys are used whose owners chose no place.
    """

    base_url: str
    default_base_url: str

    def leads_to(self, chosen_base_url: str) -> bool:
        """Tell whether a key for *chosen_base_url*, empty for none, may go this way."""
        wanted = chosen_base_url.rstrip("/") or self.default_base_url.rstrip("/")
        return wanted == self.base_url.rstrip("/")


class ProxiedCalls:
    """Decides calls as `Relay` does, and hands the key out where that one sends it."""

    def __init__(
        self, leaser: KeyLeaser, opener: KeyOpener, clock: Clock, route: ProxyRoute
    ) -> None:
        self._leases = Leases(leaser, opener, clock)
        self._clock = clock
        self._route = route
        self._parsing = asyncio.Semaphore(_PARSERS)

    @asynccontextmanager
    async def opened(self, call: AppCall) -> AsyncIterator[OpenedKey]:
        """Enter with the key of *call*; to be left once it is on its way to the proxy.

        What becomes of the call then, nobody tells. So the lease is settled at once, with nothing
        known of what was taken, and stays charged as it was reserved.

        Raises:
            InvalidFieldError: The request breaks a rule.
            UpstreamNotAllowedError: The key is for another place than the proxy's route leads to.
            ServiceError: The key service's refusal, or one of this service's own failures.
        """
        give_up = self._clock.monotonic() + call.timeout_seconds
        facts, body_sha256 = await self._read(call)
        request = lease_request(call, facts, body_sha256)
        async with self._leases.acquired(request, self._remaining(give_up)) as use:
            if not self._route.leads_to(use.lease.base_url):
                raise UpstreamNotAllowedError
            api_key = await self._leases.open(use, self._remaining(give_up))
            yield OpenedKey(use.receipt, api_key, use.lease.may_choose_account)
            use.outcome = LeaseOutcome.SERVED

    async def _read(self, call: AppCall) -> tuple[RequestFacts, bytes]:
        if isinstance(call.body, StreamedBody):
            raise InvalidFieldError("body", "must come whole")
        if len(call.body) <= _SMALL_BODY_BYTES:
            return _read_whole(call, call.body)
        async with self._parsing:
            return await asyncio.to_thread(_read_whole, call, call.body)

    def _remaining(self, give_up: float) -> float:
        """Return the seconds until *give_up*, at least a little so that time-outs are typed."""
        return max(give_up - self._clock.monotonic(), 0.001)


def _read_whole(call: AppCall, body: bytes) -> tuple[RequestFacts, bytes]:
    headers = request_headers(call.headers)
    facts = facts_of(call.method, call.endpoint, call.query, headers, body)
    return facts, hashlib.sha256(body).digest()
