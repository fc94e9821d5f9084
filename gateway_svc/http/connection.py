"""HTTP/1.1 connections that wait for a request's head only so long, and quote nothing malformed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from gateway_svc.http.error_status import http_error, internal_error
from svc_runtime.call_context import REQUEST_ID_KEY, new_request_id
from svc_runtime.service_error import InvalidFieldError

_log = structlog.get_logger()

_FIRST_SERVER_ERROR: Final = 500
# Of a header: a token of 16 KiB, the most that is verified, and room for its name.
_MAX_HEADER_BYTES: Final = 17 * 1024
_MALFORMED_RULE: Final = "must be well-formed HTTP/1.1, with headers of at most 17 KiB each"
_HEAD_SECONDS: Final = 10.0
_MALFORMED_METHOD: Final = "UNKNOWN"  # as aiohttp names the method of what it could not read


def connections_for(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    *,
    keepalive_timeout: float,
    lingering_time: float,
) -> web.Server:
    """Return a factory of connections whose requests *handler* serves.

    Args:
        handler: Is cancelled when the client goes away, so that OpenAI is not left working.
        keepalive_timeout: Seconds that a connection may be idle between two requests.
        lingering_time: Seconds that the rest of a body which nobody wants is read.
    """
    return _Server(
        handler,
        keepalive_timeout=keepalive_timeout,
        lingering_time=lingering_time,
    )


def say_farewell(server: web.Server) -> None:
    """Let each answer of *server* from now on say that its connection ends with it.

    A connection that is closed without a word may have the client's next request on it.
    """
    if isinstance(server, _Server):
        server.is_leaving = True


def close_idle(server: web.Server) -> None:
    """Close those connections of *server* on which no request is being served."""
    for connection in server.connections:
        if isinstance(connection, _Connection):
            connection.close_if_idle()


class _Connection(web.RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, **options: Any) -> None:  # noqa: ANN401  # aiohttp's
        super().__init__(server, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._last_body: StreamReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head, which must come soon."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Take *data*; a head that it begins must be complete soon."""
        super().data_received(data)
        self._break_off_malformed_body()
        if self._messages or not self._is_idle():
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what never became a request, or to a fault outside of the front."""
        del message  # quotes the line that is malformed, which may hold the app's token
        super().handle_error(request, status, exc)  # logs, and raises when an answer has begun
        if status < _FIRST_SERVER_ERROR:
            error = InvalidFieldError("request", _MALFORMED_RULE)
            reason, (status, headers, body) = error.reason, http_error(error)
        else:
            reason, (status, headers, body) = "INTERNAL", internal_error()
        request_id = new_request_id()
        headers |= {"server": "keyturn", REQUEST_ID_KEY: request_id}
        response = web.Response(status=status, headers=headers, body=body)
        response.force_close()
        _log.info(
            "http",
            request_id=request_id,
            method=f"HTTP {request.method}",
            caller="",
            source_ip=request.remote or "",
            duration_ms=0.0,
            reason=reason,
            code=str(status),
        )
        return response

    def close_if_idle(self) -> None:
        """Close the connection unless a request is being served, whose body may yet be coming."""
        if not self._messages and self._is_idle():
            self.close()

    def _break_off_malformed_body(self) -> None:
        """Tell the reader of a body that its rest is malformed.

        aiohttp says so only in place of the next request. Whoever reads would wait for more.
        """
        is_malformed = False
        for message, body_of_it in self._messages:
            is_malformed = not isinstance(message, RawRequestMessage)
            if not is_malformed:
                # Kept: the message is gone from here before aiohttp has made it a request.
                self._last_body = body_of_it
        body = self._last_body
        if is_malformed and body is not None and not body.is_eof():
            self._messages.pop()
            body.set_exception(web.RequestPayloadError())
            body.feed_eof()
            self.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self._loop.call_later(_HEAD_SECONDS, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_idle() and self.transport is not None:
            self.transport.abort()

    def _is_idle(self) -> bool:
        """Tell whether no request is being served, nor has come."""
        # At first aiohttp has not begun to wait: no request has come then, either.
        has_begun = self._request_count > 0 or self._waiter is not None
        return not has_begun or (self._waiter is not None and not self._waiter.done())


class _Request(web.BaseRequest):
    """A request whose connection may have to end with its answer."""

    server: _Server

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request; asked once the answer begins."""
        return not self.server.is_leaving and super().keep_alive


class _Server(web.Server):
    """Makes the connections; aiohttp has no other way to choose their class.

    Attributes:
        is_leaving: Whether every answer says that its connection ends.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        **options: float,
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self._options = options
        self.is_leaving = False

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=self._loop,
            access_log=None,
            max_field_size=_MAX_HEADER_BYTES,
            auto_decompress=False,
            **self._options,
        )

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """Return a request; one that could not be read is answered with HTTP/1.1, too."""
        if message.method == _MALFORMED_METHOD and not message.headers:
            message = message._replace(version=HttpVersion11)
        request = _Request(message, payload, protocol, writer, task, self._loop)
        request.server = self
        return request
