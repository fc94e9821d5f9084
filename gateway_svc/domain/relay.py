"""The use case of a call: lease, open, call once, forget, settle."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway_svc.domain.answer_reader import AnswerReader
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import KeyRejectedUpstreamError
from gateway_svc.domain.headers import (
    Headers,
    accepted_encoding,
    header,
    request_headers,
    response_headers,
)
from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import KeyLeaser, KeyOpener, LeaseOutcome, LeaseRequest
from gateway_svc.domain.leases import Leases, LeaseUse
from gateway_svc.domain.request_facts import RequestFacts, facts_of
from gateway_svc.domain.upload import Upload
from gateway_svc.domain.upstream_ports import (
    StreamedBody,
    Upstream,
    UpstreamAnswer,
    UpstreamRequest,
)
from gateway_svc.domain.usage import Usage
from gateway_svc.domain.usage_request import asking_for_usage
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

_UNAUTHORIZED: Final = 401
# Larger bodies are parsed beside the event loop, so that small calls do not wait for them.
_SMALL_BODY_BYTES: Final = 256 * 1024
_PARSERS: Final = 2
MAX_UPLOAD_BYTES: Final = 1024**3


@dataclass(frozen=True, slots=True)
class AppCall:
    """One call of an app, verified and parsed.

    Attributes:
        timeout_seconds: What is left until the call's deadline.
        headers: The app's headers, as they came.
        body: Whole, or as it comes: only `multipart/*` may be streamed.
        app_token: The app's own token, if it sent one, which the key service checks, too.
        owner_token: ID token of a person whose presence the app shows, if it sent one.
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
    body: bytes | StreamedBody = field(default=b"", repr=False)
    app_token: SecretBytes | None = None
    owner_token: SecretBytes | None = None


class Exchange:
    """A call under way: the head of OpenAI's answer is here, the body comes.

    Attributes:
        receipt: Whose key serves it.
        status: OpenAI's HTTP status; never 401, which is `KeyRejectedUpstreamError`.
        headers: Those of OpenAI's headers that the app gets.
        is_complete: Whether the body was read to its end.
    """

    def __init__(self, answer: UpstreamAnswer, reader: AnswerReader, use: LeaseUse) -> None:
        self.receipt = use.receipt
        self.status = answer.status
        self.headers = reader.headers
        self.openai_request_id = use.openai_request_id
        self.is_complete = False
        self._answer = answer
        self._reader = reader

    @property
    def usage(self) -> Usage:
        """What the call has taken, as far as it is known."""
        return self._reader.usage

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces as they come; to be read once."""
        async for piece in self._answer.body:
            if passed := self._reader.feed(piece):
                yield passed
        if rest := self._reader.rest():
            yield rest
        self.is_complete = True


class Relay:
    """Serves calls of apps, each with a lease of its own. Keeps nothing between two calls."""

    def __init__(
        self,
        leaser: KeyLeaser,
        opener: KeyOpener,
        upstream: Upstream,
        clock: Clock,
        *,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
    ) -> None:
        self._leases = Leases(leaser, opener, clock)
        self._upstream = upstream
        self._clock = clock
        self._max_upload_bytes = max_upload_bytes
        self._parsing = asyncio.Semaphore(_PARSERS)

    @asynccontextmanager
    async def exchange(self, call: AppCall) -> AsyncIterator[Exchange]:
        """Make one call, from the lease to its settlement.

        1. Read from the request what policy needs.
        2. Acquire a lease: the key service decides.
        3. Open the key, bound to the name that the app asked for.
        4. Send the request; the plaintext is gone once its headers are written.
        5. Let the caller pass the answer on.
        6. Settle the lease, however the call ended.

        Raises:
            InvalidFieldError: The request breaks a rule.
            ServiceError: The key service's refusal, or one of this service's own failures.
        """
        give_up = self._clock.monotonic() + call.timeout_seconds
        outgoing = await self._outgoing(call)  # (1)
        request = lease_request(call, outgoing.facts, outgoing.sha256)
        async with self._leases.acquired(request, self._remaining(give_up)) as use:  # (2), (6)
            api_key = await self._leases.open(use, self._remaining(give_up))  # (3)
            use.outcome = LeaseOutcome.UPSTREAM_FAILED
            sending = self._upstream.send(
                _upstream_request(call, outgoing, use), api_key, self._remaining(give_up)
            )
            del api_key
            try:
                async with sending as answer:  # (4)
                    use.http_status = answer.status
                    use.openai_request_id = header(response_headers(answer.headers), "x-request-id")
                    if answer.status == _UNAUTHORIZED:
                        use.outcome = LeaseOutcome.KEY_REJECTED
                        raise KeyRejectedUpstreamError
                    reader = AnswerReader(
                        method=call.method,
                        endpoint=call.endpoint.name,
                        status=answer.status,
                        headers=answer.headers,
                        removes_usage=outgoing.asks_for_usage,
                        watch=answer.watch,
                    )
                    exchange = Exchange(answer, reader, use)
                    use.outcome = LeaseOutcome.CANCELLED  # until the caller has read it all
                    try:
                        yield exchange  # (5)
                    finally:
                        use.usage = reader.usage
                        if answer.watch is not None:
                            answer.watch.usage(use.usage)
                        if exchange.is_complete:
                            use.outcome = LeaseOutcome.SERVED
            except InvalidFieldError:
                use.outcome = LeaseOutcome.CANCELLED  # the app broke off, or its body is malformed
                raise
            finally:
                use.body_sha256 = outgoing.streamed_sha256

    async def _outgoing(self, call: AppCall) -> _Outgoing:
        """Return what is sent for *call*, read as far as policy needs."""
        sent_headers = request_headers(call.headers)
        if isinstance(call.body, StreamedBody):
            upload = Upload(
                call.endpoint,
                call.query,
                header(sent_headers, "content-type"),
                call.body,
                max_bytes=self._max_upload_bytes,
            )
            return _Outgoing(await upload.facts(), upload.body(), upload=upload)
        if len(call.body) <= _SMALL_BODY_BYTES:
            return _read_whole(call, sent_headers, call.body)
        async with self._parsing:
            return await asyncio.to_thread(_read_whole, call, sent_headers, call.body)

    def _remaining(self, give_up: float) -> float:
        """Return the seconds until *give_up*, at least a little so that time-outs are typed."""
        return max(give_up - self._clock.monotonic(), 0.001)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A request's body on its way to OpenAI.

    Attributes:
        sha256: Of the body as the app sent it; empty while it is streamed.
        asks_for_usage: Whether the body was made to ask OpenAI for the usage.
    """

    facts: RequestFacts
    body: bytes | StreamedBody = field(repr=False)
    sha256: bytes = b""
    asks_for_usage: bool = False
    upload: Upload | None = None

    @property
    def streamed_sha256(self) -> bytes:
        """SHA-256 of a streamed body that has passed; else empty."""
        return self.upload.sha256 if self.upload else b""


def _read_whole(call: AppCall, headers: Headers, body: bytes) -> _Outgoing:
    facts = facts_of(call.method, call.endpoint, call.query, headers, body)
    encoding = header(headers, "content-encoding")
    asking = asking_for_usage(call.method, call.endpoint.name, body, encoding)
    return _Outgoing(
        facts,
        body if asking is None else asking,
        hashlib.sha256(body).digest(),
        asks_for_usage=asking is not None,
    )


def lease_request(call: AppCall, facts: RequestFacts, body_sha256: bytes) -> LeaseRequest:
    """Return what the key service is asked for *call*.

    Args:
        call: The call.
        facts: What its request says.
        body_sha256: Of the body as the app sent it; empty while it is streamed.
    """
    return LeaseRequest(
        call.request_id,
        call.key,
        call.app,
        call.method,
        call.endpoint.name,
        facts.model,
        call.source_ip,
        body_sha256,
        facts.token_bounds.input,
        facts.token_bounds.output,
        call.app_token,
        facts.more_models,
        call.owner_token,
        facts.token_bounds.answers,
        facts.token_bounds.runs_tools,
    )


def _upstream_request(call: AppCall, outgoing: _Outgoing, use: LeaseUse) -> UpstreamRequest:
    headers = request_headers(call.headers, may_choose_account=use.lease.may_choose_account)
    return UpstreamRequest(
        call.method,
        call.endpoint,
        call.query,
        (*headers, ("accept-encoding", accepted_encoding(call.headers))),
        outgoing.body,
        use.lease.base_url,
        use.request.model,
        use.lease.lease_id,
    )
