"""Serves `/v1/*`: authenticate, relay, pass the answer on as it comes."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog
from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from gateway_svc.domain.calls import app_of
from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamTimedOutError
from gateway_svc.domain.headers import ACCEPT_ENCODING, Headers, may_pass_to_openai
from gateway_svc.domain.http_request import METHODS, check_header_value, check_query
from gateway_svc.domain.key_name import FIELD as KEY_FIELD
from gateway_svc.domain.key_name import KeyChoice
from gateway_svc.domain.live_relay import LiveRelay
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.owner_token import FIELD as OWNER_FIELD
from gateway_svc.domain.owner_token import owner_token_of
from gateway_svc.domain.relay import AppCall, Relay
from gateway_svc.http.answers import (
    AnswerNotTakenError,
    answer,
    cut,
    end_events,
    no_such_route,
    pass_on,
)
from gateway_svc.http.caller import HTTPAuthenticator
from gateway_svc.http.error_status import http_error, internal_error
from gateway_svc.http.measuring import measure
from gateway_svc.http.request_body import body_of
from gateway_svc.http.request_span import conclude, request_span
from gateway_svc.http.websocket import (
    answer_refusal,
    check_handshake,
    offered_subprotocols,
    serve_live,
    wants_websocket,
)
from svc_runtime.call_context import (
    REQUEST_ID_KEY,
    CallContext,
    annotate,
    bind_call,
    current_call,
    new_request_id,
    request_id_from,
)
from svc_runtime.service_error import InvalidFieldError, ServiceError, ServiceStoppingError

_log = structlog.get_logger()

_PREFIX: Final = "/v1/"
# Policy reads the body by these: OpenAI must not see others.
_POLICY_HEADERS: Final = ("content-type", "content-encoding")
# The relay's own time-outs say more than this one does. They come first: aiohttp rounds up to 1 s.
_LAST_SECONDS: Final = 1.5


class HTTPFront:
    """Every method and path below `/v1/`."""

    def __init__(
        self,
        relay: Relay,
        live_relay: LiveRelay,
        authenticator: HTTPAuthenticator,
        key_choice: KeyChoice,
        *,
        request_timeout_seconds: float,
    ) -> None:
        """Bound each request, which has no deadline of its own, by *request_timeout_seconds*.

        The bound is one for all of it: reading the body, relaying, and the app taking the answer.
        """
        self._relay = relay
        self._live_relay = live_relay
        self._authenticator = authenticator
        self._key_choice = key_choice
        self._timeout_seconds = request_timeout_seconds
        self._is_stopping = False

    def say_stopping(self) -> None:
        """Tell apps whose requests are cancelled from now on that the service stops."""
        self._is_stopping = True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request, and write exactly one record of it to the log."""
        started = time.monotonic()
        request_id, refusal = _request_id(request)
        with (
            bind_call(CallContext(request_id, f"HTTP {request.method}")) as call,
            request_span(request) as span,
        ):
            outcome = {"code": "ABORTED"}
            try:
                response = await self._serve_in_time(request, refusal)
                outcome = {"code": str(response.status)}
            except ServiceError as error:
                outcome = {"reason": error.reason}
                response = await answer(request, *http_error(error), outcome)
            except AnswerNotTakenError:
                outcome = {"code": "ANSWER_NOT_TAKEN"}
                raise
            except ConnectionError:
                outcome = {"code": "CLIENT_GONE"}
                raise
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._is_stopping or task is None:
                    raise
                status, headers, body = http_error(ServiceStoppingError())
                outcome = {"reason": ServiceStoppingError.reason, "code": str(status)}
                if request.writer.output_size > 0:
                    await end_events(request, body)
                    raise
                task.uncancel()
                response = await answer(request, status, headers, body)
            except Exception as error:  # noqa: BLE001 - the last line: nothing of a fault may reach the app
                _log.error("internal_error", exc_info=error)
                outcome = {"reason": "INTERNAL"}
                response = await answer(request, *internal_error(), outcome)
            finally:
                seconds = time.monotonic() - started
                measure(request.method, call.fields, outcome, seconds)
                conclude(span, call, outcome)
                _log.info(
                    "http",
                    method=call.method,
                    caller=call.caller.name if call.caller else "",
                    source_ip=request.remote or "",
                    duration_ms=round(seconds * 1000, 1),
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
                return await self._serve(request, refusal, give_up, limit)
        except TimeoutError:
            if not limit.expired():
                raise
        if request.writer.output_size > 0:
            raise cut(request, AnswerNotTakenError())
        raise UpstreamTimedOutError

    async def _serve(
        self,
        request: web.BaseRequest,
        refusal: ServiceError | None,
        give_up: float,
        limit: asyncio.Timeout,
    ) -> web.StreamResponse:
        if refusal is not None:
            raise refusal
        _check_version(request)
        path, _, query = request.raw_path.partition("?")
        if not path.startswith(_PREFIX) or request.method not in METHODS:
            return await answer(request, *no_such_route())
        call = current_call()
        call.caller = await self._authenticator.authenticate(request)
        app = app_of(call.caller)
        key = self._key_choice.choose(app, _single(request, KEY_FIELD))
        owner_token = owner_token_of(_single(request, OWNER_FIELD))
        endpoint = Endpoint.parse(path.removeprefix(_PREFIX))
        annotate(key=str(key), app=str(app), endpoint=endpoint.name)
        checked_query, headers = check_query(query, "query"), _headers(request)
        is_live = wants_websocket(request)
        if is_live:
            check_handshake(request)
        body = b"" if is_live else await body_of(request, give_up)
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
            owner_token,
        )
        if is_live:
            return await self._serve_live(request, app_call, limit)
        async with self._relay.exchange(app_call) as exchange:
            return await pass_on(request, exchange)

    async def _serve_live(
        self, request: web.BaseRequest, call: AppCall, limit: asyncio.Timeout
    ) -> web.StreamResponse:
        try:
            async with self._live_relay.live(call, offered_subprotocols(request)) as live:
                limit.reschedule(None)  # the session has its own bound
                return await serve_live(request, live)
        except UpstreamRefusedLiveError as refusal:
            return await answer_refusal(request, refusal)


def _request_id(request: web.BaseRequest) -> tuple[str, InvalidFieldError | None]:
    """Return the request's id; a fresh one and the refusal when the one it sent is malformed."""
    try:
        return request_id_from(request.headers.getall(REQUEST_ID_KEY, [])), None
    except InvalidFieldError as error:
        return new_request_id(), error


def _check_version(request: web.BaseRequest) -> None:
    """Return if *request* is framed as its version of HTTP has it; else let nothing follow it.

    Raises:
        InvalidFieldError: It is not.
    """
    codings = [
        value.strip().lower() for value in request.headers.getall(hdrs.TRANSFER_ENCODING, [])
    ]
    versions = (HttpVersion11,) if codings else (HttpVersion10, HttpVersion11)
    if request.version not in versions or codings not in ([], ["chunked"]):
        request.protocol.close()
        raise InvalidFieldError(
            "request", "must be HTTP/1.1, chunked at most, or HTTP/1.0 with a plain body"
        )


def _single(request: web.BaseRequest, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise InvalidFieldError(name, "must be given once")
    return values[0] if values else None


def _headers(request: web.BaseRequest) -> Headers:
    for name in _POLICY_HEADERS:
        _single(request, name)
    return tuple(
        (name.lower(), check_header_value(value, name.lower()))
        for name, value in request.headers.items()
        if may_pass_to_openai(name) or name.lower() == ACCEPT_ENCODING
    )
