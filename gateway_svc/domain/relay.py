"""The use case: lease, open, call once, forget, settle."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    LeaseExpiredError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.headers import Headers, header, request_headers, response_headers
from gateway_svc.domain.key_echo import ErrorEvents, without_key_echo
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.ports import (
    KeyLeaser,
    KeyOpener,
    Lease,
    LeaseOutcome,
    LeaseRequest,
    LeaseSettlement,
    Upstream,
    UpstreamAnswer,
    UpstreamRequest,
)
from gateway_svc.domain.request_facts import facts_of
from gateway_svc.domain.usage import TokenUsage, UsageMeter
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId

_UNAUTHORIZED: Final = 401
_FIRST_ERROR: Final = 400
# Errors are read whole, so that an echo of the key cannot hide in a cut between two pieces.
_MAX_ERROR_BYTES: Final = 1024 * 1024
# Larger bodies are parsed beside the event loop, so that small calls do not wait for them.
_SMALL_BODY_BYTES: Final = 256 * 1024
_PARSERS: Final = 2


@dataclass(frozen=True, slots=True)
class AppCall:
    """One call of an app, verified and parsed.

    Attributes:
        timeout_seconds: What is left until the call's deadline.
        headers: The app's headers, as they came.
    """

    request_id: str
    app: SpiffeId
    key: KeyName
    source_ip: str
    timeout_seconds: float
    method: str
    endpoint: Endpoint
    query: str = ""
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    app_token: SecretBytes | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whose key served a call."""

    request_id: str
    key: str
    key_version: int
    grant: str
    lease_id: str

    def headers(self) -> Headers:
        """Return the receipt as headers, for HTTP and for gRPC metadata alike."""
        return (
            ("x-keyturn-request-id", self.request_id),
            ("x-keyturn-key", self.key),
            ("x-keyturn-key-version", str(self.key_version)),
            ("x-keyturn-grant", self.grant),
            ("x-keyturn-lease", self.lease_id),
        )


class Exchange:
    """A call under way: the head of OpenAI's answer is here, the body comes.

    Attributes:
        receipt: Whose key serves it.
        status: OpenAI's HTTP status; never 401, which is `KeyRejectedUpstreamError`.
        headers: Those of OpenAI's headers that the app gets.
    """

    def __init__(self, answer: UpstreamAnswer, receipt: Receipt) -> None:
        self.receipt = receipt
        self.status = answer.status
        self.headers = response_headers(answer.headers)
        self.openai_request_id = header(self.headers, "x-request-id")
        self.is_complete = False
        self._answer = answer
        content_type = header(self.headers, "content-type")
        self._meter = UsageMeter(content_type)
        is_stream = content_type.partition(";")[0].strip().lower() == "text/event-stream"
        self._events = ErrorEvents() if is_stream else None

    @property
    def usage(self) -> TokenUsage:
        """Tokens that OpenAI has reported so far."""
        return self._meter.usage()

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces as they come; to be read once."""
        if self.status >= _FIRST_ERROR:
            yield without_key_echo(await self._read_error())
        else:
            async for piece in self._answer.body:
                self._meter.feed(piece)
                if self._events is not None:
                    piece = self._events.feed(piece)  # noqa: PLW2901 - the piece, rewritten
                if piece:
                    yield piece
            if self._events is not None and (rest := self._events.rest()):
                yield rest
        self.is_complete = True

    async def _read_error(self) -> bytes:
        body = bytearray()
        async for piece in self._answer.body:
            body += piece
            if len(body) > _MAX_ERROR_BYTES:
                raise UpstreamUnavailableError
        return bytes(body)


class Relay:
    """Serves calls of apps, each with a lease of its own. Keeps nothing between two calls."""

    def __init__(
        self, leaser: KeyLeaser, opener: KeyOpener, upstream: Upstream, clock: Clock
    ) -> None:
        self._leaser = leaser
        self._opener = opener
        self._upstream = upstream
        self._clock = clock
        self._parsing = asyncio.Semaphore(_PARSERS)

    @asynccontextmanager
    async def exchange(self, call: AppCall) -> AsyncIterator[Exchange]:
        """Make one call, from the lease to its settlement.

        1. Read from the body what policy needs.
        2. Acquire a lease: the key service decides.
        3. Open the key, bound to the name that the app asked for.
        4. Send the request; the plaintext is gone once its headers are written.
        5. Let the caller pass the answer on.
        6. Settle the lease, however the call ended.

        Raises:
            InvalidFieldError: The body breaks a rule.
            ServiceError: The key service's refusal, or one of this service's own failures.
        """
        give_up = self._clock.monotonic() + call.timeout_seconds
        request = await self._lease_request(call)  # (1)
        lease = await self._leaser.acquire(request, call.timeout_seconds)  # (2)
        settlement = _Settlement(request, lease)
        try:
            api_key = await self._open(request, lease, give_up)  # (3)
            settlement.outcome = LeaseOutcome.UPSTREAM_FAILED
            sending = self._upstream.send(
                _upstream_request(call), api_key, self._remaining(give_up)
            )
            del api_key
            async with sending as answer:  # (4)
                settlement.http_status = answer.status
                receipt = Receipt(
                    call.request_id, str(call.key), lease.key_version, lease.grant, lease.lease_id
                )
                _must_be_readable(answer)
                exchange = Exchange(answer, receipt)
                settlement.exchange = exchange
                if answer.status == _UNAUTHORIZED:
                    settlement.outcome = LeaseOutcome.KEY_REJECTED
                    raise KeyRejectedUpstreamError
                settlement.outcome = LeaseOutcome.CANCELLED  # until the caller has read it all
                yield exchange  # (5)
        except (UpstreamUnavailableError, UpstreamTimedOutError):
            settlement.outcome = LeaseOutcome.UPSTREAM_FAILED
            raise
        except (asyncio.CancelledError, GeneratorExit):
            settlement.outcome = LeaseOutcome.CANCELLED
            raise
        finally:
            self._leaser.settle(settlement.finished())  # (6)

    async def _lease_request(self, call: AppCall) -> LeaseRequest:
        content_type = header(request_headers(call.headers), "content-type")
        arguments = (call.method, call.endpoint, content_type, call.body)
        if len(call.body) <= _SMALL_BODY_BYTES:
            facts = facts_of(*arguments)
        else:
            async with self._parsing:
                facts = await asyncio.to_thread(facts_of, *arguments)
        return LeaseRequest(
            call.request_id,
            call.key,
            call.app,
            call.endpoint.name,
            facts.model,
            call.source_ip,
            hashlib.sha256(call.body).digest(),
            facts.token_bound,
            call.app_token,
            facts.more_models,
        )

    async def _open(self, request: LeaseRequest, lease: Lease, give_up: float) -> SecretBytes:
        if self._clock.now() >= lease.expire_time:
            raise LeaseExpiredError
        return await self._opener.open(request, lease, self._remaining(give_up))

    def _remaining(self, give_up: float) -> float:
        """Return the seconds until *give_up*, at least a little so that time-outs are typed."""
        return max(give_up - self._clock.monotonic(), 0.001)


@dataclass(slots=True)
class _Settlement:
    """What is known of a lease so far."""

    request: LeaseRequest
    lease: Lease
    outcome: LeaseOutcome = LeaseOutcome.UNUSED
    http_status: int = 0
    exchange: Exchange | None = None

    def finished(self) -> LeaseSettlement:
        exchange = self.exchange
        usage = exchange.usage if exchange else TokenUsage()
        return LeaseSettlement(
            self.lease.lease_id,
            self.request.request_id,
            str(self.request.key),
            self.lease.grant,
            str(self.request.app),
            LeaseOutcome.SERVED if exchange and exchange.is_complete else self.outcome,
            usage.input_tokens,
            usage.output_tokens,
            self.http_status,
            exchange.openai_request_id if exchange else "",
        )


def _must_be_readable(answer: UpstreamAnswer) -> None:
    """Refuse an encoded answer, which was not asked for: no echo of the key could be seen in it."""
    if header(answer.headers, "content-encoding") not in {"", "identity"}:
        raise UpstreamUnavailableError


def _upstream_request(call: AppCall) -> UpstreamRequest:
    return UpstreamRequest(
        call.method, call.endpoint, call.query, request_headers(call.headers), call.body
    )
