"""`LiveUpstream` over aiohttp: one connection for one WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    WebSocketError,
    WSMsgType,
    hdrs,
)
from yarl import URL

from gateway_svc.domain.errors import (
    KeyRejectedUpstreamError,
    UpstreamTimedOutError,
    UpstreamUnavailableError,
)
from gateway_svc.domain.headers import Headers
from gateway_svc.domain.live_ports import LiveClose, LiveSide
from gateway_svc.domain.live_session import UpstreamRefusedLiveError
from gateway_svc.domain.upstream_ports import UpstreamRequest
from gateway_svc.metrics import STREAMS_OPEN
from gateway_svc.openai_api.keyed_request import KEY_FOR_REQUEST, KeyedRequest, OneTimeKey
from svc_runtime.secret_bytes import SecretBytes

_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 0.5
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_MAX_REFUSAL_BYTES: Final = 64 * 1024
_BROKEN: Final = LiveClose(1006)
_NO_CODE: Final = 1005
# What aiohttp would add by itself and OpenAI would see.
_NO_AUTO_HEADERS: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})


class OpenAIHosts(Protocol):
    """What knows OpenAI's hosts, and the connections to them."""

    @property
    def session(self) -> ClientSession:
        """Owns the connections."""

    def url_of(self, request: UpstreamRequest) -> URL:
        """Return where *request* goes.

        Raises:
            UpstreamNotAllowedError: To no host of OpenAI's.
        """


class WebSocketUpstream:
    """WebSockets at OpenAI, or at what stands in for it."""

    def __init__(self, hosts: OpenAIHosts) -> None:
        """Connect to *hosts*, whose bound on the number of connections holds here, too."""
        self._hosts = hosts

    @asynccontextmanager
    async def connect(
        self,
        request: UpstreamRequest,
        subprotocols: Sequence[str],
        api_key: SecretBytes,
        timeout_seconds: float,
    ) -> AsyncIterator[tuple[LiveSide, str, Headers]]:
        """Do the handshake and enter with OpenAI's side; see `LiveUpstream.connect`."""
        key = OneTimeKey(api_key)
        del api_key
        KEY_FOR_REQUEST.set(key)
        handshake = _Handshake()
        session = ClientSession(
            connector=self._hosts.session.connector,
            connector_owner=False,
            cookie_jar=DummyCookieJar(),
            request_class=KeyedRequest,
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_NO_AUTO_HEADERS,
            timeout=ClientTimeout(sock_connect=_CONNECT_SECONDS),
            middlewares=(handshake.answered,),
        )
        try:
            try:
                socket = await _connect(
                    session,
                    self._hosts.url_of(request),
                    request.headers,
                    subprotocols,
                    timeout_seconds,
                )
            finally:
                key.take()  # a handshake that found no connection has not taken it
            with STREAMS_OPEN.one("websocket"):
                yield OpenAISocket(socket), socket.protocol or "", handshake.headers
        finally:
            handshake.close()
            await session.close()


class OpenAISocket:
    """OpenAI's side of a WebSocket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes | LiveClose:
        """Return the next message, or how OpenAI closed; see `LiveSide.receive`."""
        message = await self._socket.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                content: str | bytes = message.data
                return content
            case WSMsgType.CLOSE:
                return LiveClose(message.data or _NO_CODE, message.extra or "")
            case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                return LiveClose(message.data.code)
            case _:
                return _BROKEN

    async def send(self, message: str | bytes) -> None:
        """Send *message*; one to a connection that broke is lost, and `receive` says that."""
        sending = (
            self._socket.send_str(message)
            if isinstance(message, str)
            else self._socket.send_bytes(message)
        )
        with suppress(ConnectionError):
            # Shielded: aiohttp takes every wait for room after a cancelled one for cancelled, too.
            await asyncio.shield(sending)

    async def close(self, close: LiveClose) -> None:
        """Close; leaving the upstream's context cuts a connection that does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(code=close.code, message=close.reason.encode())


class _Handshake:
    """A handshake under way, and then the connection that it made.

    Attributes:
        headers: OpenAI's.
    """

    def __init__(self) -> None:
        self.headers: Headers = ()
        self._response: ClientResponse | None = None
        self._transport: asyncio.Transport | None = None

    async def answered(self, request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        """Take the answer before aiohttp would follow a redirect, or drop an error's body."""
        self._response = response = await send(request)
        self.headers = tuple((name.lower(), value) for name, value in response.headers.items())
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise KeyRejectedUpstreamError
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            body = await _read_refusal(response)
            raise UpstreamRefusedLiveError(response.status, self.headers, body)
        self._transport = response.connection.transport if response.connection else None
        return response

    def close(self) -> None:
        """Close the connection at once."""
        if self._response is not None:
            self._response.close()
        if self._transport is not None and self._transport.get_write_buffer_size() > 0:
            self._transport.abort()  # OpenAI does not take what was sent last


async def _read_refusal(response: ClientResponse) -> bytes:
    # No encoding was asked for, and no echo of the key could be seen in one.
    if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UpstreamUnavailableError
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _MAX_REFUSAL_BYTES:
            raise UpstreamUnavailableError
    return bytes(body)


async def _connect(
    session: ClientSession,
    url: URL,
    headers: Headers,
    subprotocols: Sequence[str],
    timeout_seconds: float,
) -> ClientWebSocketResponse:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await session.ws_connect(
                url,
                headers=headers,
                protocols=subprotocols,
                autoclose=False,
                timeout=ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                max_msg_size=_MAX_MESSAGE_BYTES,
            )
    except ConnectionTimeoutError:  # a time-out of the connection, not of the call
        failure: Exception = UpstreamUnavailableError()
    except TimeoutError:
        failure = UpstreamTimedOutError()
    except (ClientError, OSError):
        failure = UpstreamUnavailableError()
    # Here, not inside `except`: what aiohttp raises holds the request.
    raise failure
