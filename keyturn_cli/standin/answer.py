"""Sending an answer: at once, slowly, never, or cut off, as the model's name asks."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import secrets
import zlib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.progress import PACE, PROGRESS

_JSON: Final = "application/json"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS  # zlib's way to say: with gzip's header
_GZIPPED: Final = {"content-encoding": "gzip", "vary": "accept-encoding"}


def new_id(prefix: str) -> str:
    """Return a fresh object id, such as `chatcmpl-` and 32 hex digits."""
    return prefix + secrets.token_hex(16)


def event(payload: Mapping[str, object], name: str | None = None) -> bytes:
    """Render one server-sent event."""
    head = f"event: {name}\n" if name else ""
    return head.encode() + b"data: " + dump(payload) + b"\n\n"


def json_response(
    payload: Mapping[str, object],
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return a whole answer; its content type names no charset, as OpenAI's does not."""
    return web.Response(body=dump(payload), status=status, headers=headers, content_type=_JSON)


def dump(payload: Mapping[str, object]) -> bytes:
    """Render *payload* as compact JSON."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # A request can smuggle in half a surrogate pair.


async def send_json(
    request: web.Request, payload: Mapping[str, object], manner: Manner
) -> web.StreamResponse:
    """Answer *request* with *payload*."""
    return await send_body(request, dump(payload), _JSON, manner)


async def send_body(
    request: web.Request, body: bytes, content_type: str, manner: Manner
) -> web.StreamResponse:
    """Answer *request* with *body*."""
    await _wait_if_hanging(manner)
    headers = {"content-type": content_type}
    if _compresses(request, manner):
        body, headers = gzip.compress(body), {**headers, **_GZIPPED}
    if not manner.cuts:
        return web.Response(body=body, headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await write(request, response, body[: len(body) // 2])
    _cut(request)
    return response


async def send_events(
    request: web.Request, events: Iterable[bytes], manner: Manner
) -> web.StreamResponse:
    """Answer *request* with a stream of *events*, each flushed on its own."""
    await _wait_if_hanging(manner)
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    compressor = None
    if _compresses(request, manner):
        compressor, headers = zlib.compressobj(wbits=_GZIP_WINDOW), {**headers, **_GZIPPED}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    for index, rendered in enumerate(_first_half(events) if manner.cuts else events):
        if manner.is_paced:
            await request.app[PACE].turn()
        if index and manner.pause_seconds:
            await asyncio.sleep(manner.pause_seconds)
        if compressor is None:
            await write(request, response, rendered)
        else:
            compressed = compressor.compress(rendered) + compressor.flush(zlib.Z_SYNC_FLUSH)
            await write(request, response, compressed)
        request.app[PROGRESS].events += 1
    if manner.cuts:
        _cut(request)
        return response
    if compressor is not None:
        await write(request, response, compressor.flush())
    await response.write_eof()
    return response


async def write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Write *piece* of the answer to *request*, once the client takes it, and count it."""
    await response.write(piece)
    request.app[PROGRESS].bytes_written += len(piece)


async def _wait_if_hanging(manner: Manner) -> None:
    if manner.hangs:
        await asyncio.Event().wait()  # The server cancels it when the client is gone.


def _compresses(request: web.Request, manner: Manner) -> bool:
    return manner.compresses and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")


def _first_half(events: Iterable[bytes]) -> Iterable[bytes]:
    rendered = list(events)
    return itertools.islice(rendered, len(rendered) // 2)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
