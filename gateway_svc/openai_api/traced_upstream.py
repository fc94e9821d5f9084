"""OpenAI with a span around each request and each WebSocket that belongs to a sampled call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from yarl import URL

from gateway_svc.domain.headers import Headers, header
from gateway_svc.domain.live_ports import LiveClose, LiveSide, LiveUpstream
from gateway_svc.domain.upstream_ports import Upstream, UpstreamAnswer, UpstreamRequest
from gateway_svc.domain.usage import Usage, usage_of_event
from gateway_svc.openai_api.model_span import ModelSpan
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes

_WEBSOCKET: Final = "WEBSOCKET"
_SWITCHING: Final = 101
_REQUEST_ID: Final = "x-request-id"


class TracedUpstream:
    """`Upstream` that shows what another one does."""

    def __init__(
        self, upstream: Upstream, url_of: Callable[[UpstreamRequest], URL], clock: Clock
    ) -> None:
        """Show what *upstream* does.

        Args:
            upstream: OpenAI.
            url_of: Where a request goes.
            clock: Source of monotonic time.
        """
        self._upstream = upstream
        self._url_of = url_of
        self._clock = clock

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        """Send *request* and enter with the head of the answer; see `Upstream.send`."""
        sending = self._upstream.send(request, api_key, timeout_seconds)
        del api_key
        model_span = ModelSpan(request, request.method)
        with model_span.span as span:
            if not span.is_recorded:
                async with sending as answer:
                    yield answer
                return
            begin = self._clock.monotonic()
            model_span.goes_to(self._url_of(request))
            async with sending as answer:
                model_span.answered(answer.status, header(answer.headers, _REQUEST_ID))
                is_stream = header(answer.headers, "content-type").startswith("text/event-stream")
                span.set("gen_ai.request.stream", is_stream)
                watch = _Watch(model_span, self._clock, begin, is_stream=is_stream)
                yield replace(answer, watch=watch)


class TracedLiveUpstream:
    """`LiveUpstream` that shows what another one does."""

    def __init__(self, upstream: LiveUpstream, url_of: Callable[[UpstreamRequest], URL]) -> None:
        """Show what *upstream* does.

        Args:
            upstream: OpenAI.
            url_of: Where a request goes.
        """
        self._upstream = upstream
        self._url_of = url_of

    @asynccontextmanager
    async def connect(
        self,
        request: UpstreamRequest,
        subprotocols: Sequence[str],
        api_key: SecretBytes,
        timeout_seconds: float,
    ) -> AsyncIterator[tuple[LiveSide, str, Headers]]:
        """Do the handshake and enter with OpenAI's side; see `LiveUpstream.connect`."""
        connecting = self._upstream.connect(request, subprotocols, api_key, timeout_seconds)
        del api_key
        model_span = ModelSpan(request, _WEBSOCKET)
        with model_span.span as span:
            if not span.is_recorded:
                async with connecting as connected:
                    yield connected
                return
            model_span.goes_to(self._url_of(request))
            async with connecting as (side, subprotocol, headers):
                model_span.answered(_SWITCHING, header(headers, _REQUEST_ID))
                watched = _WatchedSide(side)
                try:
                    yield watched, subprotocol, headers
                finally:
                    model_span.took(watched.usage)


class _Watch:
    """An answer that passes; see `AnswerWatch`."""

    def __init__(
        self, model_span: ModelSpan, clock: Clock, begin: float, *, is_stream: bool
    ) -> None:
        self._model_span = model_span
        self._clock = clock
        self._begin = begin
        self._waits_for_first = is_stream

    def part(self, plain: bytes) -> None:
        if self._waits_for_first:
            self._waits_for_first = False
            self._model_span.streams(self._clock.monotonic() - self._begin)
        self._model_span.passes(plain)

    def usage(self, usage: Usage) -> None:
        self._model_span.took(usage)


class _WatchedSide:
    """OpenAI's side of a WebSocket; adds up what it reports.

    Attributes:
        usage: What the connection has taken so far.
    """

    def __init__(self, side: LiveSide) -> None:
        self.usage = Usage()
        self._side = side

    async def receive(self) -> str | bytes | LiveClose:
        message = await self._side.receive()
        if isinstance(message, str) and '"usage"' in message:
            usage = usage_of_event(message)
            self.usage = self.usage if usage is None else self.usage.plus(usage)
        return message

    async def send(self, message: str | bytes) -> None:
        await self._side.send(message)

    async def close(self, close: LiveClose) -> None:
        await self._side.close(close)
