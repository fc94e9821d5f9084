"""The use case of verification: take a key's lease, try the key at OpenAI, and report."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import (
    LeaseExpiredError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import KeyOpener, Lease
from gateway_svc.domain.upstream_ports import Upstream, UpstreamAnswer, UpstreamRequest
from gateway_svc.domain.verification import VerificationOutcome, conclude, is_final, outcome_of
from svc_runtime.clock import Clock
from svc_runtime.spiffe_id import SpiffeId

_OPEN_SECONDS: Final = 5.0
# Of one request. The opening, both requests and the report fit into the minute of a claim.
_TRY_SECONDS: Final = 15.0
_MAX_ANSWER_BYTES: Final = 1024 * 1024  # a list of models is some 50 KiB
_MODELS: Final = Endpoint.parse("models")
_CHAT: Final = Endpoint.parse("chat/completions")
_USAGE: Final = Endpoint.parse("organization/usage/completions")
_DAY_SECONDS: Final = 86_400
_AGENT: Final = ("user-agent", "keyturn-gateway")


@dataclass(frozen=True, slots=True)
class Verification:
    """A key to try; see `Verification` of the contract."""

    request_id: str
    key: KeyName
    app: SpiffeId
    lease: Lease
    is_admin_key: bool = False


class VerificationDesk(Protocol):
    """Where verifications come from and go to: the key service."""

    async def claim(self) -> Verification | None:
        """Return a verification to do; None when there is none.

        Raises:
            ServiceError: The key service cannot answer.
        """

    async def report(self, verification: Verification, outcome: VerificationOutcome) -> None:
        """Tell what OpenAI said.

        Raises:
            ServiceError: The key service cannot answer, or has given the verification to another.
        """


class Verifier:
    """Tries keys at OpenAI."""

    def __init__(
        self,
        desk: VerificationDesk,
        opener: KeyOpener,
        upstream: Upstream,
        clock: Clock,
        model: str,
    ) -> None:
        """Prepare.

        Args:
            desk: The key service.
            opener: Vault.
            upstream: OpenAI.
            clock: Source of time.
            model: What to ask one token of; empty to ask nothing.
        """
        self._desk = desk
        self._opener = opener
        self._upstream = upstream
        self._clock = clock
        self._model = model

    async def claim(self) -> Verification | None:
        """Return a verification to do; None when there is none.

        Raises:
            ServiceError: The key service cannot answer.
        """
        return await self._desk.claim()

    async def verify(self, verification: Verification) -> VerificationOutcome:
        """Do *verification* and report it.

        What goes wrong on our own side is not reported: the claim runs out, and the key service
        hands it out again.

        Returns:
            What OpenAI said.

        Raises:
            ServiceError: The key service or Vault cannot answer, or the lease ended too soon.
        """
        if self._clock.now() >= verification.lease.expire_time:
            raise LeaseExpiredError
        outcome = await self._try(verification)
        await self._desk.report(verification, outcome)
        return outcome

    async def _try(self, verification: Verification) -> VerificationOutcome:
        """Return what OpenAI says of the key.

        1. Open the key: one lease, one decrypt, for both requests.
        2. List models, which costs nothing and tells whether OpenAI knows the key.
        3. Ask one token of a model, which tells whether the key has quota.

        An admin key cannot call models: it asks for usage, which is what it is there for.
        """
        base_url = verification.lease.base_url
        api_key = await self._opener.open(verification, verification.lease, _OPEN_SECONDS)  # (1)
        first = self._usage(base_url) if verification.is_admin_key else _listing(base_url)
        listing = await _finding(self._upstream.send(first, api_key, _TRY_SECONDS))  # (2)
        if is_final(listing) or not self._model or verification.is_admin_key:
            return conclude(listing, None)
        sending = self._upstream.send(_asking(self._model, base_url), api_key, _TRY_SECONDS)  # (3)
        del api_key
        return conclude(listing, await _finding(sending))

    def _usage(self, base_url: str) -> UpstreamRequest:
        """Return the request for what was used on the last day."""
        since = int(self._clock.now().timestamp()) - _DAY_SECONDS
        return UpstreamRequest(
            "GET", _USAGE, f"start_time={since}&limit=1", (_AGENT,), b"", base_url
        )


def _listing(base_url: str) -> UpstreamRequest:
    """Return the request for the models that there are."""
    return UpstreamRequest("GET", _MODELS, "", (_AGENT,), b"", base_url)


def _asking(model: str, base_url: str) -> UpstreamRequest:
    """Return the request of one token of *model*."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "ping"}],
        "max_completion_tokens": 1,
    }
    headers = (_AGENT, ("content-type", "application/json"))
    return UpstreamRequest("POST", _CHAT, "", headers, json.dumps(body).encode(), base_url, model)


async def _finding(
    sending: AbstractAsyncContextManager[UpstreamAnswer],
) -> VerificationOutcome | None:
    """Send a request, and return what its answer says about the key."""
    body = bytearray()
    try:
        async with sending as answer:
            async for piece in answer.body:
                body += piece
                if len(body) > _MAX_ANSWER_BYTES:
                    return VerificationOutcome.OPENAI_UNREACHABLE
            return outcome_of(answer.status, bytes(body))
    except (UpstreamUnavailableError, UpstreamTimedOutError):
        return VerificationOutcome.OPENAI_UNREACHABLE
