"""The HTTPS listener."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Final

from aiohttp import web

from gateway_svc.http.connection import close_idle, connections_for, say_farewell
from gateway_svc.http.front import HTTPFront
from svc_runtime.http_site import site_at

# Longer than clients keep a connection that they may use again.
_KEEPALIVE_SECONDS: Final = 300.0
# How long a connection that is to be closed is read on, so that the client sees the answer first.
_LINGERING_SECONDS: Final = 2.0
# For requests that are cut to tell the app so, and for a WebSocket to be closed by both sides.
_CUT_SECONDS: Final = 4.0
_CLOSE_SECONDS: Final = 1.0  # for what is left then
_LOOK_SECONDS: Final = 0.1  # how often it is asked whether a connection is left


class HTTPServer:
    """Serves an `HTTPFront` over TLS."""

    def __init__(self, front: HTTPFront, tls: ssl.SSLContext, *, address: str) -> None:
        """Listen at *address*, `host:port`; port 0 takes a free one."""
        self._front = front
        self._tls = tls
        self._address = address
        self._runner: web.ServerRunner | None = None
        self._under_way: set[asyncio.Task[None]] = set()

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
        self._runner = web.ServerRunner(server, shutdown_timeout=_CLOSE_SECONDS)
        await self._runner.setup()
        await site_at(self._runner, self._address, self._tls).start()
        return int(self._runner.addresses[0][1])

    async def stop(self, grace_seconds: float) -> None:
        """Serve on until nobody is connected any more, for at most *grace_seconds*; then cut.

        Until then requests are served on new connections, too, since a load balancer may not have
        heard yet; each answer says that its connection ends. A connection on which nothing is asked
        stays, because a request may be on its way. What is cut is told so, as far as it can be.
        """
        if self._runner is None or self._runner.server is None:
            return
        server = self._runner.server
        say_farewell(server)
        give_up = time.monotonic() + grace_seconds
        while server.connections and (left := give_up - time.monotonic()) > 0:  # noqa: ASYNC110 - aiohttp tells nobody when a connection ends
            await asyncio.sleep(min(left, _LOOK_SECONDS))
        for site in self._runner.sites:
            await site.stop()
        close_idle(server)
        if self._under_way:
            self._front.say_stopping()
            for task in self._under_way:
                task.cancel()
            await asyncio.wait(self._under_way, timeout=_CUT_SECONDS)
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None and task not in self._under_way:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return await self._front.handle(request)
