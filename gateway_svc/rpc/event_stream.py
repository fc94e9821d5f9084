"""The events of OpenAI's streamed answers, as JSON objects, up to the end that it marks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway_svc.domain.errors import UpstreamAnswerUnusableError, UpstreamUnavailableError
from gateway_svc.domain.relay import Exchange
from gateway_svc.domain.sse import DONE, EventDecoder
from gateway_svc.rpc.answers import broken_off, json_object
from gateway_svc.rpc.json_values import JSONValue


async def events_of(
    exchange: Exchange, endings: frozenset[str] = frozenset()
) -> AsyncGenerator[dict[str, JSONValue], None]:
    """Yield each event of the answer as soon as it has come.

    Args:
        exchange: A call whose answer is no error.
        endings: Types of the events that end a whole answer, besides OpenAI's mark.

    Raises:
        UpstreamFailedError: OpenAI broke off with an error.
        UpstreamUnavailableError: The answer ended before its end.
        UpstreamAnswerUnusableError: It is no stream of JSON objects.
    """
    is_whole = False
    async with aclosing(_data(exchange)) as data:
        async for datum in data:
            if datum == DONE:
                is_whole = True
                continue
            event = json_object(datum)
            if event.get("error") or event.get("type") == "error":
                raise broken_off(exchange, event)
            is_whole = is_whole or event.get("type") in endings
            yield event
    if not is_whole:
        raise UpstreamUnavailableError


async def _data(exchange: Exchange) -> AsyncGenerator[bytes, None]:
    decoder = EventDecoder()
    async for piece in exchange.body():
        try:
            data = decoder.feed(piece)
        except ValueError:
            data = None
        if data is None:
            raise UpstreamAnswerUnusableError
        for datum in data:
            yield datum
