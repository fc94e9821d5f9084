"""WebSockets of apps: what they ask for, and the session that they get."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from gateway_svc.domain.headers import header, response_headers
from gateway_svc.domain.key_echo import without_key_echo
from gateway_svc.domain.live_relay import Live
from gateway_svc.domain.live_session import LiveSession, UpstreamRefusedLiveError
from gateway_svc.http.answers import answer
from gateway_svc.http.app_socket import AppSocket
from svc_runtime.call_context import annotate
from svc_runtime.service_error import InvalidFieldError

_VERSION: Final = "13"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
# Where a browser puts its credential: it cannot set headers.
_TOKEN: Final = "openai-insecure-api-key."  # noqa: S105 - a prefix
# What OpenAI may see of the subprotocols. The others hold the credential and choose the account.
_OFFERED: Final = re.compile(r"realtime|openai-beta\.[A-Za-z0-9._=-]{1,128}")


def wants_websocket(request: web.BaseRequest) -> bool:
    """Tell whether *request* asks for a WebSocket."""
    return "websocket" in _tokens(request, hdrs.UPGRADE) and "upgrade" in _tokens(
        request, hdrs.CONNECTION
    )


def check_handshake(request: web.BaseRequest) -> None:
    """Return if *request*, which asks for a WebSocket, is a handshake of RFC 6455.

    Raises:
        InvalidFieldError: It is not.
    """
    if request.method != hdrs.METH_GET or request.version != HttpVersion11:
        raise InvalidFieldError("upgrade", "must come with GET and HTTP/1.1")
    if request.headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) != [_VERSION]:
        raise InvalidFieldError("sec-websocket-version", f"must be {_VERSION}")
    keys = request.headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidFieldError("sec-websocket-key", "must be 16 bytes in base64, once")
    if request.headers.get(hdrs.CONTENT_LENGTH, "0") != "0" or (
        hdrs.TRANSFER_ENCODING in request.headers
    ):
        raise InvalidFieldError("body", "must be absent from a WebSocket's handshake")


def token_subprotocol(request: web.BaseRequest) -> str | None:
    """Return the credential that came as a subprotocol; None when there is none.

    Raises:
        InvalidFieldError: There are several.
    """
    tokens = [
        name.removeprefix(_TOKEN) for name in _subprotocols(request) if name.startswith(_TOKEN)
    ]
    if len(tokens) > 1:
        raise InvalidFieldError("sec-websocket-protocol", "must hold one credential at most")
    return tokens[0] if tokens else None


def offered_subprotocols(request: web.BaseRequest) -> tuple[str, ...]:
    """Return the subprotocols that OpenAI is offered, in the app's order, each once."""
    return tuple(dict.fromkeys(name for name in _subprotocols(request) if _OFFERED.fullmatch(name)))


async def serve_live(request: web.BaseRequest, live: Live) -> web.StreamResponse:
    """Accept the app's handshake, and pass messages on until the session ends.

    Raises:
        asyncio.CancelledError: The app is gone, or this service stops.
    """
    receipt = live.receipt
    annotate(
        lease=receipt.lease_id,
        grant=receipt.grant,
        key_version=receipt.key_version,
        openai_request_id=header(live.headers, "x-request-id"),
    )
    headers = (*live.headers, *receipt.headers())
    app = await AppSocket.accept(request, live.subprotocol, headers)
    session = LiveSession(app, live.upstream, live.allow, models=live.models)
    try:
        await session.run()
    finally:
        live.usage = session.usage
        live.outcome = session.outcome
        if session.end is not None:
            annotate(close_code=session.end.to_app.code)
    if session.end is not None and session.end.own_reason:
        annotate(reason=session.end.own_reason)
    return app.response


async def answer_refusal(
    request: web.BaseRequest, refusal: UpstreamRefusedLiveError
) -> web.StreamResponse:
    """Answer the app's handshake as OpenAI answered the gateway's."""
    annotate(http_status=refusal.status)
    headers = dict(response_headers(refusal.headers))
    return await answer(request, refusal.status, headers, without_key_echo(refusal.body))


def _tokens(request: web.BaseRequest, name: str) -> list[str]:
    return [token.lower() for token in _list(request, name)]


def _subprotocols(request: web.BaseRequest) -> list[str]:
    return _list(request, hdrs.SEC_WEBSOCKET_PROTOCOL)


def _list(request: web.BaseRequest, name: str) -> list[str]:
    values = ",".join(request.headers.getall(name, []))
    return [token.strip() for token in values.split(",") if token.strip()]
