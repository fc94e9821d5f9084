"""Reads a request's body: in time, and no more of it than may be relayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.web import BaseRequest, RequestPayloadError

from gateway_svc.domain.multipart import is_multipart
from gateway_svc.domain.request_facts import MAX_BODY_BYTES
from gateway_svc.domain.upstream_ports import StreamedBody
from svc_runtime.service_error import InvalidFieldError

_FIELD: Final = "body"
_CONTENT_ENCODING: Final = "content-encoding"
_CONTENT_TYPE: Final = "content-type"
_EXPECT: Final = "expect"


async def body_of(request: BaseRequest, give_up: float) -> bytes | StreamedBody:
    """Return the body of *request*: an upload as it comes, any other whole.

    A client that asks to be told to go on is told so once the body is wanted.

    Args:
        request: One whose body nobody has read.
        give_up: When the body must be here, in the event loop's time.

    Raises:
        InvalidFieldError: The body is too large, late or malformed.
    """
    _check_expectation(request)
    if is_multipart(request.headers.get(_CONTENT_TYPE, "")):
        if _CONTENT_ENCODING in request.headers:
            raise InvalidFieldError(_CONTENT_ENCODING, "must be absent from multipart bodies")
        return StreamedBody(_pieces(request, give_up), request.content_length)
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    async for piece in _pieces(request, give_up):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


async def _pieces(request: BaseRequest, give_up: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Raises:
        InvalidFieldError: It is late or malformed.
    """
    if _EXPECT in request.headers and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    rule = "must be framed as HTTP/1.1 demands"
    while True:
        try:
            async with asyncio.timeout_at(give_up):
                piece = await request.content.readany()
        except TimeoutError:
            rule = "must arrive before the request's time is up"
            break
        except RequestPayloadError:
            break
        if not piece and request.content.exception() is None:
            return
        if not piece:  # malformed after a chunk whose end woke the reader: it sees only the end
            break
        yield piece
    raise InvalidFieldError(_FIELD, rule)


def _check_expectation(request: BaseRequest) -> None:
    expectations = request.headers.getall(_EXPECT, [])
    if (
        expectations
        and request.version >= HttpVersion11
        and [expectation.strip().lower() for expectation in expectations] != ["100-continue"]
    ):
        raise InvalidFieldError(_EXPECT, "must be 100-continue, once")


def _too_large() -> InvalidFieldError:
    return InvalidFieldError(_FIELD, "must have at most 10 MiB")
