"""The use case of a WebSocket: one lease, checked again while the connection lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gateway_svc.domain.errors import KeyRejectedUpstreamError
from gateway_svc.domain.headers import Headers, header, request_headers, response_headers
from gateway_svc.domain.lease_ports import KeyLeaser, KeyOpener, LeaseOutcome, LeaseRequest
from gateway_svc.domain.leases import Leases, LeaseUse, Receipt
from gateway_svc.domain.live_ports import LiveSide, LiveUpstream
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.relay import AppCall
from gateway_svc.domain.request_facts import facts_of
from gateway_svc.domain.upstream_ports import UpstreamRequest
from gateway_svc.domain.usage import Usage
from svc_runtime.clock import Clock

_METHOD: Final = "WEBSOCKET"
_CHECK_SECONDS: Final = 10.0
_SWITCHING: Final = 101


@dataclass(slots=True)
class Live:
    """A WebSocket at OpenAI, whose handshake is done.

    Attributes:
        receipt: Whose key serves it.
        subprotocol: The one that OpenAI chose; empty for none.
        headers: Those of OpenAI's headers that the app gets.
        upstream: OpenAI's side.
        usage: What the connection has taken; to be kept up to date.
        outcome: How it ended; to be set.
    """

    receipt: Receipt
    subprotocol: str
    headers: Headers
    upstream: LiveSide
    _leaser: KeyLeaser = field(repr=False)
    _request: LeaseRequest = field(repr=False)
    usage: Usage = field(default_factory=Usage)
    outcome: LeaseOutcome = LeaseOutcome.CANCELLED

    @property
    def models(self) -> tuple[str, ...]:
        """Those that the handshake named, and that the lease allows."""
        return tuple(m for m in (self._request.model, *self._request.more_models) if m)

    async def allow(self, models: Sequence[str]) -> None:
        """Ask the key service whether the app may go on, and may use *models* too.

        Raises:
            ServiceError: The refusal, or that the key service cannot be reached.
        """
        request = self._request
        if models:
            main, *more = (*self.models, *models)
            request = replace(request, model=main, more_models=tuple(more))
        await self._leaser.check(self.receipt.lease_id, request, _CHECK_SECONDS)


class LiveRelay:
    """Serves WebSockets of apps, each with a lease of its own."""

    def __init__(
        self, leaser: KeyLeaser, opener: KeyOpener, upstream: LiveUpstream, clock: Clock
    ) -> None:
        self._leaser = leaser
        self._leases = Leases(leaser, opener, clock)
        self._upstream = upstream
        self._clock = clock

    @asynccontextmanager
    async def live(self, call: AppCall, subprotocols: Sequence[str]) -> AsyncIterator[Live]:
        """Connect to OpenAI for *call*, whose body is empty, and enter once it has accepted.

        Args:
            call: The app's handshake; its time-out is that of the handshake.
            subprotocols: What to offer OpenAI; never a credential.

        Raises:
            InvalidFieldError: The request breaks a rule.
            UpstreamRefusedLiveError: OpenAI answered the handshake with an error.
            ServiceError: The key service's refusal, or one of this service's own failures.
        """
        give_up = self._clock.monotonic() + call.timeout_seconds
        request = _lease_request(call)
        async with self._leases.acquired(request, self._remaining(give_up)) as use:
            api_key = await self._leases.open(use, self._remaining(give_up))
            use.outcome = LeaseOutcome.UPSTREAM_FAILED
            connecting = self._upstream.connect(
                _upstream_request(call, use), subprotocols, api_key, self._remaining(give_up)
            )
            del api_key
            try:
                async with connecting as (upstream, subprotocol, headers):
                    use.http_status = _SWITCHING
                    passed = response_headers(headers)
                    use.openai_request_id = header(passed, "x-request-id")
                    use.outcome = LeaseOutcome.CANCELLED
                    live = Live(use.receipt, subprotocol, passed, upstream, self._leaser, request)
                    try:
                        yield live
                    finally:
                        use.usage, use.outcome = live.usage, live.outcome
            except KeyRejectedUpstreamError:
                use.outcome = LeaseOutcome.KEY_REJECTED
                raise
            except UpstreamRefusedLiveError as refusal:
                use.http_status = refusal.status
                use.outcome = LeaseOutcome.SERVED
                raise

    def _remaining(self, give_up: float) -> float:
        return max(give_up - self._clock.monotonic(), 0.001)


def _lease_request(call: AppCall) -> LeaseRequest:
    facts = facts_of(call.method, call.endpoint, call.query, (), b"")
    return LeaseRequest(
        call.request_id,
        call.key,
        call.app,
        _METHOD,
        call.endpoint.name,
        facts.model,
        call.source_ip,
        b"",
        0,
        0,
        call.app_token,
        facts.more_models,
        call.owner_token,
    )


def _upstream_request(call: AppCall, use: LeaseUse) -> UpstreamRequest:
    headers = request_headers(call.headers, may_choose_account=use.lease.may_choose_account)
    return UpstreamRequest(
        "GET",
        call.endpoint,
        call.query,
        headers,
        b"",
        use.lease.base_url,
        use.request.model,
        use.lease.lease_id,
    )
