"""The HTTPS listener."""

from __future__ import annotations

import ssl

from aiohttp import web

from gateway_svc.http.front import HTTPFront


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
        server = web.Server(self._front.handle, handler_cancellation=True, access_log=None)
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
