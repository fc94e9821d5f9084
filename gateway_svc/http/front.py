"""Serves `/v1/*`: authenticate, relay, pass the answer on as it comes."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from aiohttp import web

from gateway_svc.domain.calls import app_of
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamTimedOutError
from gateway_svc.domain.headers import Headers, may_pass_to_openai
from gateway_svc.domain.http_request import METHODS, check_header_value, check_query
from gateway_svc.domain.key_name import FIELD as KEY_FIELD
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.relay import AppCall, Exchange, Relay
from gateway_svc.http.caller import HTTPAuthenticator
from gateway_svc.http.error_status import error_body, http_error, internal_error
from gateway_svc.http.request_body import read_body
from svc_runtime.call_context import (
    REQUEST_ID_KEY,
    CallContext,
    annotate,
    bind_call,
    current_call,
    new_request_id,
    request_id_from,
)
from svc_runtime.service_error import InvalidFieldError, ServiceError

_log = structlog.get_logger()

_PREFIX: Final = "/v1/"
_SERVER: Final = {"server": "keyturn"}  # in place of the versions of Python and aiohttp
# The relay's own time-outs say more than this one does. They come first: aiohttp rounds up to 1 s.
_LAST_SECONDS: Final = 1.5
_ANSWER_SECONDS: Final = 10.0  # for the short answers that are the gateway's own


class AnswerNotTakenError(ConnectionError):
    """The app does not read its answer; the connection is cut."""


class HTTPFront:
    """Every method and path below `/v1/`, for JSON and event streams."""

    def __init__(
        self,
        relay: Relay,
        authenticator: HTTPAuthenticator,
        key_choice: KeyChoice,
        *,
        request_timeout_seconds: float,
    ) -> None:
        """Bound each request, which has no deadline of its own, by *request_timeout_seconds*.

        The bound is one for all of it: reading the body, relaying, and the app taking the answer.
        """
        self._relay = relay
        self._authenticator = authenticator
        self._key_choice = key_choice
        self._timeout_seconds = request_timeout_seconds

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request, and write exactly one record of it to the log."""
        started = time.monotonic()
        request_id, refusal = _request_id(request)
        with bind_call(CallContext(request_id, f"HTTP {request.method}")) as call:
            outcome = {"code": "ABORTED"}
            try:
                response = await self._serve_in_time(request, refusal)
                outcome = {"code": str(response.status)}
            except ServiceError as error:
                outcome = {"reason": error.reason}
                response = await _answer(request, *http_error(error), outcome)
            except AnswerNotTakenError:
                outcome = {"code": "ANSWER_NOT_TAKEN"}
                raise
            except ConnectionError:
                outcome = {"code": "CLIENT_GONE"}
                raise
            except Exception as error:  # noqa: BLE001 - the last line: nothing of a fault may reach the app
                _log.error("internal_error", exception=type(error).__name__)
                outcome = {"reason": "INTERNAL"}
                response = await _answer(request, *internal_error(), outcome)
            finally:
                _log.info(
                    "http",
                    method=call.method,
                    caller=call.caller.name if call.caller else "",
                    source_ip=request.remote or "",
                    duration_ms=round((time.monotonic() - started) * 1000, 1),
                    **outcome,
                    **call.fields,
                )
        return response

    async def _serve_in_time(
        self, request: web.BaseRequest, refusal: ServiceError | None
    ) -> web.StreamResponse:
        give_up = asyncio.get_running_loop().time() + self._timeout_seconds
        limit = asyncio.timeout_at(give_up + _LAST_SECONDS)
        try:
            async with limit:
                return await self._serve(request, refusal, give_up)
        except TimeoutError:
            if not limit.expired():
                raise
        if request.writer.output_size > 0:
            raise _cut(request, AnswerNotTakenError())
        raise UpstreamTimedOutError

    async def _serve(
        self, request: web.BaseRequest, refusal: ServiceError | None, give_up: float
    ) -> web.StreamResponse:
        if refusal is not None:
            raise refusal
        path, _, query = request.raw_path.partition("?")
        if not path.startswith(_PREFIX) or request.method not in METHODS:
            return await _answer(request, *_no_such_route())
        call = current_call()
        call.caller = await self._authenticator.authenticate(request)
        app = app_of(call.caller)
        key = self._key_choice.choose(app, _single(request, KEY_FIELD))
        endpoint = Endpoint.parse(path.removeprefix(_PREFIX))
        annotate(key=str(key), app=str(app), endpoint=endpoint.name)
        checked_query, headers = check_query(query, "query"), _headers(request)
        body = await read_body(request, give_up)
        app_call = AppCall(
            call.request_id,
            app,
            key,
            call.caller.source_ip,
            max(give_up - asyncio.get_running_loop().time(), 0.001),
            request.method,
            endpoint,
            checked_query,
            headers,
            body,
            call.caller.token,
        )
        async with self._relay.exchange(app_call) as exchange:
            return await _pass_on(request, exchange)


async def _pass_on(request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
    receipt = exchange.receipt
    annotate(
        lease=receipt.lease_id,
        grant=receipt.grant,
        key_version=receipt.key_version,
        http_status=exchange.status,
        openai_request_id=exchange.openai_request_id,
    )
    response = web.StreamResponse(status=exchange.status, headers=_SERVER)
    for name, value in (*exchange.headers, *receipt.headers()):
        response.headers[name] = value
    await response.prepare(request)
    async for piece in exchange.body():
        await response.write(piece)
    await response.write_eof()
    return response


async def _answer(
    request: web.BaseRequest,
    status: int,
    headers: dict[str, str],
    body: bytes,
    outcome: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with *body*, or break the answer off if its head has gone out already."""
    if outcome is not None:
        outcome["code"] = str(status)
    if request.writer.output_size > 0:
        raise _cut(request, ConnectionResetError())
    response = web.Response(status=status, headers=headers | _SERVER, body=body)
    response.headers[REQUEST_ID_KEY] = current_call().request_id
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        raise _cut(request, AnswerNotTakenError()) from None
    return response


def _cut(request: web.BaseRequest, error: ConnectionError) -> ConnectionError:
    """Cut the connection: once a head is out, only that says that the answer is not whole."""
    if request.transport is not None:
        request.transport.abort()
    return error


def _no_such_route() -> tuple[int, dict[str, str], bytes]:
    body = error_body(
        "The gateway serves GET, POST, PUT, PATCH and DELETE below /v1/ only.",
        "invalid_request_error",
        None,
        "NO_SUCH_ROUTE",
    )
    return 404, {"content-type": "application/json"}, body


def _request_id(request: web.BaseRequest) -> tuple[str, InvalidFieldError | None]:
    """Return the request's id; a fresh one and the refusal when the one it sent is malformed."""
    try:
        return request_id_from(request.headers.getall(REQUEST_ID_KEY, [])), None
    except InvalidFieldError as error:
        return new_request_id(), error


def _single(request: web.BaseRequest, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise InvalidFieldError(name, "must be given once")
    return values[0] if values else None


def _headers(request: web.BaseRequest) -> Headers:
    _single(request, "content-type")  # policy reads the body by it: OpenAI must not see another
    return tuple(
        (name.lower(), check_header_value(value, name.lower()))
        for name, value in request.headers.items()
        if may_pass_to_openai(name)
    )
