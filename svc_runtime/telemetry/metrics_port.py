"""Metrics on a port of their own, for Prometheus."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs, web

from svc_runtime.http_site import site_at
from svc_runtime.telemetry.metrics_export import CONTENT_TYPE, MetricsExport

_PATH: Final = "/metrics"
_METHODS: Final = (hdrs.METH_GET, hdrs.METH_HEAD)
_SERVER: Final = {hdrs.SERVER: "keyturn"}  # in place of the versions of Python and aiohttp
_SHUTDOWN_SECONDS: Final = 1.0


class MetricsPort:
    """Serves `/metrics` in plaintext, and nothing else.

    Plaintext and open to whoever reaches the port, as that of health: the figures name no owner,
    no key and no app. A network policy should let only Prometheus reach it.
    """

    def __init__(self, export: MetricsExport, address: str) -> None:
        """Tell what *export* tells, at *address*, `host:port`; port 0 takes a free one."""
        self._export = export
        self._address = address
        self._asking = asyncio.Lock()
        self._runner: web.ServerRunner | None = None

    async def start(self) -> int:
        """Start to answer; return the port.

        Raises:
            OSError: The address cannot be bound.
        """
        self._runner = web.ServerRunner(
            web.Server(self._handle), shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        await site_at(self._runner, self._address).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop to answer. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != _PATH:
            return web.Response(status=404, headers=_SERVER)
        if request.method not in _METHODS:
            return web.Response(status=405, headers={**_SERVER, hdrs.ALLOW: ", ".join(_METHODS)})
        # In a thread: some thousands of lines would hold up calls for milliseconds.
        async with self._asking:
            text = await asyncio.to_thread(self._export.text)
        return web.Response(body=text, headers={**_SERVER, hdrs.CONTENT_TYPE: CONTENT_TYPE})
