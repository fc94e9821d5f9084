"""Sending an answer: at once, slowly, never, or cut off, as the model's name asks."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

from aiohttp import web

_JSON: Final = "application/json"
_SLOW_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer goes out.

    Attributes:
        pause_seconds: Wait between two events of a stream.
        hangs: Nothing is ever sent; the request ends when the client leaves.
        cuts: The connection closes after half of the answer.
    """

    pause_seconds: float = 0.0
    hangs: bool = False
    cuts: bool = False

    @classmethod
    def of_model(cls, model: str) -> Self:
        """Return the manner that the suffix of *model* asks for."""
        return cls(
            pause_seconds=_SLOW_PAUSE_SECONDS if model.endswith("-slow") else 0.0,
            hangs=model.endswith("-hang"),
            cuts=model.endswith("-cut"),
        )


def new_id(prefix: str) -> str:
    """Return a fresh object id, such as `chatcmpl-` and 32 hex digits."""
    return prefix + secrets.token_hex(16)


def event(payload: Mapping[str, object], name: str | None = None) -> bytes:
    """Render one server-sent event."""
    head = f"event: {name}\n" if name else ""
    return head.encode() + b"data: " + _dump(payload) + b"\n\n"


def json_response(
    payload: Mapping[str, object],
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return a whole answer; its content type names no charset, as OpenAI's does not."""
    return web.Response(body=_dump(payload), status=status, headers=headers, content_type=_JSON)


async def send_json(
    request: web.Request, payload: Mapping[str, object], manner: Manner
) -> web.StreamResponse:
    """Answer *request* with *payload*."""
    await _wait_if_hanging(manner)
    if not manner.cuts:
        return json_response(payload)
    body = _dump(payload)
    response = web.StreamResponse(headers={"content-type": _JSON})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _cut(request)
    return response


async def send_events(
    request: web.Request, events: Sequence[bytes], manner: Manner
) -> web.StreamResponse:
    """Answer *request* with a stream of *events*, each flushed on its own."""
    await _wait_if_hanging(manner)
    response = web.StreamResponse(
        headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    )
    await response.prepare(request)
    sent = events[: len(events) // 2] if manner.cuts else events
    for index, rendered in enumerate(sent):
        if index and manner.pause_seconds:
            await asyncio.sleep(manner.pause_seconds)
        await response.write(rendered)
    if manner.cuts:
        _cut(request)
    else:
        await response.write_eof()
    return response


async def _wait_if_hanging(manner: Manner) -> None:
    if manner.hangs:
        await asyncio.Event().wait()  # The server cancels it when the client is gone.


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def _dump(payload: Mapping[str, object]) -> bytes:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # A request can smuggle in half a surrogate pair.
