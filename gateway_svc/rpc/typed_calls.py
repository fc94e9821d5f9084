"""What all typed calls have in common: make the call, relay it, refuse or fill."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Final
from urllib.parse import quote

from google.protobuf.message import Message

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers, header
from gateway_svc.domain.relay import Exchange, Relay
from gateway_svc.domain.upstream_ports import StreamedBody
from gateway_svc.rpc.answers import FIRST_ERROR, json_object, read_whole, refusal
from gateway_svc.rpc.app_calls import AppCalls, relayed
from gateway_svc.rpc.event_stream import events_of
from gateway_svc.rpc.json_messages import fill
from gateway_svc.rpc.json_values import JSONValue
from svc_runtime.authentication import ServicerContext
from svc_runtime.service_error import InvalidFieldError

_JSON: Final[Headers] = (("content-type", "application/json"),)
# Larger answers are parsed beside the event loop, so that other calls do not wait for them.
_SMALL_ANSWER_BYTES: Final = 256 * 1024
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,200}")


class TypedCalls:
    """Makes typed calls over `Relay`."""

    def __init__(self, relay: Relay, calls: AppCalls) -> None:
        self._relay = relay
        self._calls = calls

    async def answer(
        self,
        context: ServicerContext,
        target: Message,
        endpoint: Endpoint,
        body: Mapping[str, JSONValue] | None = None,
        *,
        method: str = "POST",
        query: str = "",
    ) -> None:
        """Make one call and fill *target* with OpenAI's answer.

        Args:
            context: The RPC.
            target: A message whose fields bear OpenAI's names.
            endpoint: What to call.
            body: JSON to send; None for no body.
            method: HTTP method.
            query: Query string, percent-encoded.

        Raises:
            UpstreamRefusedError: OpenAI answered with an error.
            UpstreamAnswerUnusableError: The answer is no JSON object that *target* can hold, or
                too large.
        """
        raw = b"" if body is None else _encoded(body)
        headers = () if body is None else _JSON
        async with self.served(
            context, endpoint, headers, raw, method=method, query=query
        ) as exchange:
            await fill_from(target, await read_whole(exchange))

    async def events(
        self,
        context: ServicerContext,
        endpoint: Endpoint,
        body: Mapping[str, JSONValue],
        endings: frozenset[str],
    ) -> AsyncGenerator[dict[str, JSONValue], None]:
        """Make one call and yield each event of OpenAI's answer as soon as it has come.

        To be closed where it is not read to its end.

        Args:
            context: The RPC.
            endpoint: What to call.
            body: JSON to send.
            endings: Types of the events that end a whole answer, besides OpenAI's mark.

        Raises:
            UpstreamRefusedError: OpenAI answered with an error, or broke off with one.
            UpstreamUnavailableError: The answer ended before its end.
            UpstreamAnswerUnusableError: It is no stream of JSON objects.
        """
        async with (
            self.served(context, endpoint, _JSON, _encoded(body)) as exchange,
            aclosing(events_of(exchange, endings)) as events,
        ):
            async for event in events:
                yield event

    @asynccontextmanager
    async def served(
        self,
        context: ServicerContext,
        endpoint: Endpoint,
        headers: Headers,
        body: bytes | StreamedBody,
        *,
        method: str = "POST",
        query: str = "",
    ) -> AsyncIterator[Exchange]:
        """Make one call; enter with OpenAI's answer, which is no error.

        Raises:
            UpstreamRefusedError: It is one.
        """
        call = self._calls.make(
            context, method=method, endpoint=endpoint, query=query, headers=headers, body=body
        )
        async with relayed(self._relay, context, call) as exchange:
            if exchange.status >= FIRST_ERROR:
                raise refusal(exchange, await read_whole(exchange))
            yield exchange


async def fill_from(target: Message, body: bytes) -> None:
    """Fill *target* from the JSON object *body*.

    Raises:
        UpstreamAnswerUnusableError: It is none that *target* can hold.
    """
    if len(body) <= _SMALL_ANSWER_BYTES:
        fill(target, json_object(body))
    else:
        await asyncio.to_thread(lambda: fill(target, json_object(body)))


def has_type(exchange: Exchange, media_type: str) -> bool:
    """Tell whether OpenAI's answer is of *media_type*, in lower case."""
    content_type = header(exchange.headers, "content-type")
    return content_type.partition(";")[0].strip().lower() == media_type


def endpoint_of(path: str, unverified_id: str, field: str, *more: str) -> Endpoint:
    """Return the endpoint of one object.

    Args:
        path: Of the collection, such as `models`.
        unverified_id: Of the object.
        field: Where the id stands in the request, for errors.
        more: What follows the id.

    Raises:
        InvalidFieldError: It is no id.
    """
    if not _ID.fullmatch(unverified_id) or unverified_id in {".", ".."}:
        raise InvalidFieldError(field, "must be an id of letters, digits, '.', '_', ':' and '-'")
    return Endpoint.parse("/".join((path, quote(unverified_id, safe=":"), *more)), field)


def _encoded(body: Mapping[str, JSONValue]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
