"""Reads a request's body: in the clear, in time, and no more of it than may be relayed."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.web import BaseRequest, RequestPayloadError

from gateway_svc.domain.request_facts import MAX_BODY_BYTES
from svc_runtime.service_error import InvalidFieldError

_FIELD: Final = "body"
_CONTENT_ENCODING: Final = "content-encoding"
_EXPECT: Final = "expect"


async def read_body(request: BaseRequest, give_up: float) -> bytes:
    """Return the body of *request*.

    A client that asks to be told to go on is told so, once the body is known to be wanted.

    Args:
        request: One whose body nobody has read.
        give_up: When the body must be here, in the event loop's time.

    Raises:
        InvalidFieldError: The body is encoded, too large, late or malformed.
    """
    encodings = request.headers.getall(_CONTENT_ENCODING, [])
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in encodings):
        raise InvalidFieldError(_CONTENT_ENCODING, "must be absent: bodies are sent uncompressed")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    await _tell_to_go_on(request)
    body = bytearray()
    try:
        async with asyncio.timeout_at(give_up):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        rule = "must arrive before the request's time is up"
    except RequestPayloadError:
        rule = "must be framed as HTTP/1.1 demands"
    else:
        return bytes(body)
    raise InvalidFieldError(_FIELD, rule)


async def _tell_to_go_on(request: BaseRequest) -> None:
    expectations = request.headers.getall(_EXPECT, [])
    if not expectations or request.version < HttpVersion11:
        return
    if [expectation.strip().lower() for expectation in expectations] != ["100-continue"]:
        raise InvalidFieldError(_EXPECT, "must be 100-continue, once")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun


def _too_large() -> InvalidFieldError:
    return InvalidFieldError(_FIELD, "must have at most 10 MiB")
