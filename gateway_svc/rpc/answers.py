"""OpenAI's answers, read whole, and its refusals of typed calls as errors."""

from __future__ import annotations

import json
from typing import Final, cast

from gateway_svc.domain import errors
from gateway_svc.domain.relay import Exchange
from gateway_svc.rpc.json_values import JSONValue

MAX_ANSWER_BYTES: Final = 10 * 1024 * 1024
FIRST_ERROR: Final = 400
_MAX_DETAIL: Final = 512  # characters; gRPC's trailing metadata must stay below 8 KiB

_BY_STATUS: Final[dict[int, type[errors.UpstreamRefusedError]]] = {
    403: errors.UpstreamForbiddenError,
    404: errors.UpstreamNotFoundError,
    409: errors.UpstreamConflictError,
    429: errors.UpstreamRateLimitedError,
}
_FIRST_SERVER_ERROR: Final = 500


async def read_whole(exchange: Exchange) -> bytes:
    """Return the body of *exchange*.

    Raises:
        UpstreamAnswerUnusableError: It has more than 10 MiB.
    """
    body = bytearray()
    async for piece in exchange.body():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise errors.UpstreamAnswerUnusableError
    return bytes(body)


def json_object(body: bytes) -> dict[str, JSONValue]:
    """Return the JSON object that *body* is.

    Raises:
        UpstreamAnswerUnusableError: It is none.
    """
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise errors.UpstreamAnswerUnusableError
    return cast("dict[str, JSONValue]", parsed)


def refusal(exchange: Exchange, body: bytes) -> errors.UpstreamRefusedError:
    """Return OpenAI's refusal, an answer of status 400 or more, as an error."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None  # the status alone tells
    details = _details(exchange, answer.get("error") if isinstance(answer, dict) else None)
    if exchange.status >= _FIRST_SERVER_ERROR:
        return errors.UpstreamFailedError(details)
    return _BY_STATUS.get(exchange.status, errors.UpstreamInvalidRequestError)(details)


def broken_off(exchange: Exchange, event: dict[str, JSONValue]) -> errors.UpstreamFailedError:
    """Return the error event with which OpenAI broke a stream off, as an error."""
    return errors.UpstreamFailedError(_details(exchange, event.get("error") or event))


def _details(exchange: Exchange, error: object) -> dict[str, str]:
    """Return what OpenAI says of *error*, as far as it has OpenAI's form."""
    details = {"http_status": str(exchange.status), "openai_request_id": exchange.openai_request_id}
    if isinstance(error, dict):
        for name in ("type", "code", "param", "message"):
            if isinstance(error.get(name), str):
                details[name] = error[name][:_MAX_DETAIL]
    return details


def _refuse_constant(_name: str) -> None:
    """Refuse NaN and the infinities, which Python's parser takes and JSON has not."""
    raise ValueError
