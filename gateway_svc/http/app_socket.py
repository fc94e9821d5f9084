"""The app's side of a WebSocket."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self

from aiohttp import WebSocketError, hdrs, web
from multidict import CIMultiDict

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.live_ports import LiveClose

_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_HEARTBEAT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 2.0  # for the app to take the last messages, and to close on its side
_BROKEN: Final = LiveClose(1006)
_NO_CODE: Final = 1005
_SERVER: Final = "keyturn"  # in place of the versions of Python and aiohttp


class AppSocket:
    """`LiveSide` of an app that asked for a WebSocket.

    Attributes:
        response: What the server is to be given once the session has ended.
    """

    def __init__(self, response: web.WebSocketResponse, request: web.BaseRequest) -> None:
        self.response = response
        self._request = request

    @classmethod
    async def accept(cls, request: web.BaseRequest, subprotocol: str, headers: Headers) -> Self:
        """Answer the handshake *request*, which has been checked.

        Args:
            request: The app's handshake.
            subprotocol: The one that is chosen; empty for none.
            headers: Beside those of the handshake.
        """
        response = web.WebSocketResponse(
            timeout=_CLOSE_SECONDS,
            autoclose=False,
            heartbeat=_HEARTBEAT_SECONDS,
            compress=False,
            max_msg_size=_MAX_MESSAGE_BYTES,
        )
        for name, value in headers:
            response.headers[name] = value
        response.headers[hdrs.SERVER] = _SERVER
        if subprotocol:
            response.headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = subprotocol
        # Without the subprotocols: aiohttp logs what it does not know, and one may be a token.
        offered = CIMultiDict(request.headers)
        offered.popall(hdrs.SEC_WEBSOCKET_PROTOCOL, None)
        await response.prepare(request.clone(headers=offered))
        return cls(response, request)

    async def receive(self) -> str | bytes | LiveClose:
        """Return the next message, or how the app closed; see `LiveSide.receive`."""
        message = await self.response.receive()
        match message.type:
            case web.WSMsgType.TEXT | web.WSMsgType.BINARY:
                content: str | bytes = message.data
                return content
            case web.WSMsgType.CLOSE:
                return LiveClose(message.data or _NO_CODE, message.extra or "")
            case web.WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                return LiveClose(message.data.code)
            case _:
                return _BROKEN

    async def send(self, message: str | bytes) -> None:
        """Send *message*; one to a connection that broke is lost, and `receive` says that."""
        sending = (
            self.response.send_str(message)
            if isinstance(message, str)
            else self.response.send_bytes(message)
        )
        with suppress(ConnectionError):
            # Shielded: aiohttp takes every wait for room after a cancelled one for cancelled, too.
            await asyncio.shield(sending)

    async def close(self, close: LiveClose) -> None:
        """Close; cut the connection of an app that does not close on its side."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.response.close(code=close.code, message=close.reason.encode())
        if self.response.close_code == _BROKEN.code and self._request.transport is not None:
            self._request.transport.abort()
