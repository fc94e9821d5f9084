"""/v1/realtime/calls and client secrets: WebRTC's way to the Realtime API."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.errors import missing_parameter
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.request_body import RequestBody

_SDP: Final = "application/sdp"
_ANSWER: Final = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=standin\r\nt=0 0\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1\r\na=recvonly\r\n"
)
_SECRET_SECONDS: Final = 600


async def create_call(request: web.Request) -> web.StreamResponse:
    """Answer an SDP offer, alone or in a form beside the session; nothing ever connects."""
    body = request[BODY]
    offer = body.content
    if body.form is not None:
        offer = bytes(body.required_form("sdp").required("sdp").content.head)
    if not offer:
        raise missing_parameter("sdp")
    location = f"/v1/realtime/calls/{new_id('rtc_')}"
    headers = {hdrs.CONTENT_TYPE: _SDP, hdrs.LOCATION: location}
    return web.Response(body=_ANSWER, status=HTTPStatus.CREATED, headers=headers)


async def end_call(_request: web.Request) -> web.StreamResponse:
    """Answer as if something had been done to a call."""
    return web.Response()


async def create_client_secret(request: web.Request) -> web.StreamResponse:
    """Answer with a short-lived key, which the stand-in itself does not take."""
    session = {"type": "realtime", **RequestBody.read(request).mapping("session")}
    expires_at = unix_time(request) + _SECRET_SECONDS
    value = f"ek_{secrets.token_hex(16)}"
    return json_response({"value": value, "expires_at": expires_at, "session": session})


ROUTES: Final = (
    web.post("/v1/realtime/calls", create_call),
    web.post("/v1/realtime/calls/{id}/{action:accept|hangup|refer|reject}", end_call),
    web.post("/v1/realtime/client_secrets", create_client_secret),
)
