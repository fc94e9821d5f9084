"""Writes answers to apps: OpenAI's as they come, and the gateway's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.http import StreamWriter

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.relay import Exchange
from gateway_svc.domain.usage import UsageSource
from gateway_svc.http.error_status import error_body
from svc_runtime.call_context import REQUEST_ID_KEY, annotate, current_call

_SERVER: Final = {"server": "keyturn"}  # in place of the versions of Python and aiohttp
_ANSWER_SECONDS: Final = 10.0  # for the short answers that are the gateway's own
_TOKENS: Final = ("x-keyturn-input-tokens", "x-keyturn-output-tokens")
_TE: Final = "te"
_TRAILER: Final = "trailer"
_WITHOUT_BODY: Final = frozenset({204, 304})
_EVENTS: Final = "text/event-stream"
# Of a request: the end of what its stream of events has had so far.
_LAST_BYTES: Final = web.RequestKey("last_bytes", bytes)
_BLANK_LINES: Final = (b"\n\n", b"\r\n\r\n")
_FAREWELL_SECONDS: Final = 1.0


class AnswerNotTakenError(ConnectionError):
    """The app does not read its answer; the connection is cut."""


async def pass_on(request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
    """Answer *request* with what OpenAI answers, piece by piece, and the receipt."""
    annotate_receipt(exchange)
    receipt = exchange.receipt.headers()
    response = web.StreamResponse(status=exchange.status, headers=_SERVER)
    for name, value in (*exchange.headers, *receipt):
        response.headers[name] = value
    has_trailers = _takes_trailers(request, response)
    if has_trailers:
        response.enable_chunked_encoding()
        response.headers[_TRAILER] = ", ".join((*(name for name, _ in receipt), *_TOKENS))
    await response.prepare(request)
    if response.content_type == _EVENTS:
        request.writer.send_headers()  # the first event may take the model a while
        request[_LAST_BYTES] = _BLANK_LINES[0]
    async for piece in exchange.body():
        await response.write(piece)
        if _LAST_BYTES in request:
            request[_LAST_BYTES] = (request[_LAST_BYTES] + piece[-4:])[-4:]
    if has_trailers:
        await _write_trailers(request, (*receipt, *tokens(exchange)))
    await response.write_eof()
    return response


def tokens(exchange: Exchange) -> Headers:
    """Return the tokens that *exchange* has taken, as headers; empty when nobody told."""
    usage = exchange.usage
    if usage.source is UsageSource.NONE:
        return ()
    return tuple(zip(_TOKENS, (str(usage.input_tokens), str(usage.output_tokens)), strict=True))


async def answer(
    request: web.BaseRequest,
    status: int,
    headers: dict[str, str],
    body: bytes,
    outcome: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with *body*, or break the answer off if its head has gone out already.

    Args:
        request: What to answer.
        status: HTTP status.
        headers: Beside those of every answer.
        body: The whole body.
        outcome: Gets the status as `code`, for the log.
    """
    if outcome is not None:
        outcome["code"] = str(status)
    if request.writer.output_size > 0:
        raise cut(request, ConnectionResetError())
    response = web.Response(status=status, headers=headers | _SERVER, body=body)
    response.headers[REQUEST_ID_KEY] = current_call().request_id
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        raise cut(request, AnswerNotTakenError()) from None
    return response


async def end_events(request: web.BaseRequest, error: bytes) -> None:
    """Tell *error* as the last event of the answer, if that is a stream of events under way.

    OpenAI's SDKs raise it. Nothing is told in the middle of an event, which would garble both. The
    end of the body is left to miss, for whoever does not look at events.
    """
    if request.get(_LAST_BYTES, b"").endswith(_BLANK_LINES):
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await request.writer.write(b"data: " + error + b"\n\n")


def cut(request: web.BaseRequest, error: ConnectionError) -> ConnectionError:
    """Cut the connection: once a head is out, only that says that the answer is not whole."""
    if request.transport is not None:
        request.transport.abort()
    return error


def no_such_route() -> tuple[int, dict[str, str], bytes]:
    """Return the answer to a path or method that is not OpenAI's."""
    body = error_body(
        "The gateway serves OpenAI's paths, which are below /v1/, and no CONNECT or TRACE.",
        "invalid_request_error",
        None,
        "NO_SUCH_ROUTE",
    )
    return 404, {"content-type": "application/json"}, body


def annotate_receipt(exchange: Exchange) -> None:
    """Let the log's record of the call say who served it."""
    receipt = exchange.receipt
    annotate(
        lease=receipt.lease_id,
        grant=receipt.grant,
        key_version=receipt.key_version,
        http_status=exchange.status,
        openai_request_id=exchange.openai_request_id,
    )


def _takes_trailers(request: web.BaseRequest, response: web.StreamResponse) -> bool:
    """Tell whether *request* asks for trailers, and *response* can have any."""
    wanted = ",".join(request.headers.getall(_TE, [])).lower().split(",")
    return (
        "trailers" in [item.strip() for item in wanted]
        and request.version >= HttpVersion11
        and request.method != "HEAD"
        and response.status not in _WITHOUT_BODY
        and "content-length" not in response.headers
    )


async def _write_trailers(request: web.BaseRequest, trailers: Headers) -> None:
    """End a chunked body with *trailers*, which aiohttp cannot do by itself (RFC 9112, 7.1.2)."""
    writer = request.writer
    if not isinstance(writer, StreamWriter) or writer.transport is None:
        return
    writer.send_headers()  # those of an answer without a body are still waiting
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
    writer.transport.write(b"0\r\n" + lines.encode("ascii") + b"\r\n")
    await writer.drain()
    writer.chunked = False  # the last chunk is out
    writer.set_eof()
