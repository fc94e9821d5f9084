"""The HTTPS listener."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from aiohttp import web

from gateway_svc.http.connection import close_idle, connections_for
from gateway_svc.http.front import HTTPFront

# Longer than clients keep a connection that they may use again.
_KEEPALIVE_SECONDS: Final = 300.0
# How long a connection that is to be closed is read on, so that the client sees the answer first.
_LINGERING_SECONDS: Final = 2.0
_CANCEL_SECONDS: Final = 1.0


class HTTPServer:
    """Serves an `HTTPFront` over TLS."""

    def __init__(self, front: HTTPFront, tls: ssl.SSLContext, *, address: str) -> None:
        """Listen at *address*, `host:port`; port 0 takes a free one."""
        self._front = front
        self._tls = tls
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._runner: web.ServerRunner | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    async def start(self) -> int:
        """Begin to listen, and return the port.

        Raises:
            OSError: The address cannot be listened on.
        """
        server = connections_for(
            self._handle,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGERING_SECONDS,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_CANCEL_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._host.strip("[]") or None, self._port, ssl_context=self._tls
        )
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self, grace_seconds: float) -> None:
        """Take no further connections and requests; end those under way after *grace_seconds*."""
        if self._runner is None or self._runner.server is None:
            return
        for site in self._runner.sites:
            await site.stop()
        self._is_stopping = True
        close_idle(self._runner.server)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace_seconds)
        late = set(self._under_way)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCEL_SECONDS)
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None and task not in self._under_way:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        response = await self._front.handle(request)
        if self._is_stopping:
            response.force_close()
        return response
