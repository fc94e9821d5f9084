"""The HTTPS listener."""

from __future__ import annotations

import ssl
from typing import Final

from aiohttp import web

from gateway_svc.http.error_status import http_error, internal_error
from gateway_svc.http.front import HTTPFront
from svc_runtime.service_error import InvalidFieldError

_FIRST_SERVER_ERROR: Final = 500
# Of a header: a token of 16 KiB, the most that is verified, and room for its name.
_MAX_HEADER_BYTES: Final = 17 * 1024
_MALFORMED_RULE: Final = "must be well-formed HTTP/1.1, with headers of at most 17 KiB each"


class HTTPServer:
    """Serves an `HTTPFront` over TLS."""

    def __init__(self, front: HTTPFront, tls: ssl.SSLContext, *, address: str) -> None:
        """Listen at *address*, `host:port`; port 0 takes a free one."""
        self._front = front
        self._tls = tls
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._runner: web.ServerRunner | None = None

    async def start(self, drain_seconds: float) -> int:
        """Begin to listen, and return the port.

        Raises:
            OSError: The address cannot be listened on.
        """
        # handler_cancellation: an app that goes away ends its request to OpenAI at once.
        server = _Server(
            self._front.handle,
            handler_cancellation=True,
            access_log=None,
            max_field_size=_MAX_HEADER_BYTES,
        )
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self._host.strip("[]") or None,
            self._port,
            ssl_context=self._tls,
            shutdown_timeout=drain_seconds,
        )
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no further connections, and let requests under way end."""
        if self._runner is not None:
            await self._runner.cleanup()


class _Connection(web.RequestHandler):
    """A connection whose malformed requests are answered without quoting them, as aiohttp would."""

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
            status, headers, body = http_error(InvalidFieldError("request", _MALFORMED_RULE))
        else:
            status, headers, body = internal_error()
        response = web.Response(status=status, headers=headers, body=body)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes the connections; aiohttp has no other way to choose their class."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)
