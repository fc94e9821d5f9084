"""Which app makes an HTTP request: by its client certificate, or by its token."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp.web import BaseRequest

from gateway_svc.apps import Apps, app_token_of
from gateway_svc.domain.roles import APP
from gateway_svc.http.websocket import token_subprotocol, wants_websocket
from svc_runtime.caller import Caller
from svc_runtime.clock import Clock
from svc_runtime.http_tls import peer_spiffe_id
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError

_AUTHORIZATION: Final = "authorization"


class HTTPAuthenticator:
    """Proves apps. Never reads a forwarded-certificate header."""

    def __init__(self, apps: Apps, clock: Clock) -> None:
        self._apps = apps
        self._clock = clock

    async def authenticate(self, request: BaseRequest) -> Caller:
        """Return the app that makes *request*.

        Raises:
            CallerUnverifiedError: It brings no proof, or two that disagree.
            IssuerUnavailableError: It brings a token whose issuer's keys cannot be had.
        """
        transport: asyncio.BaseTransport | None = request.transport
        if transport is None:
            raise CallerUnverifiedError
        by_certificate = peer_spiffe_id(transport, self._clock.now())
        token = _token(request)
        by_token = await self._apps.app_of(token) if token else None
        app = by_certificate or by_token
        if app is None or (by_token is not None and by_token != app):
            raise CallerUnverifiedError
        self._apps.ids.must_be_app(app)
        peer = transport.get_extra_info("peername")
        return Caller(
            str(app), frozenset({APP}), token=token, source_ip=str(peer[0]) if peer else ""
        )


def _token(request: BaseRequest) -> SecretBytes | None:
    values = request.headers.getall(_AUTHORIZATION, [])
    subprotocol = token_subprotocol(request) if wants_websocket(request) else None
    if subprotocol is not None and not values:
        values = [f"Bearer {subprotocol}"]  # of a browser, which cannot set headers
    return app_token_of(values)
