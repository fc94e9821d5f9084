"""Ending of aiohttp's servers in tests."""

from __future__ import annotations

import asyncio

from aiohttp import web


async def end(runner: web.BaseRunner) -> None:
    """Stop *runner*, and cut its connections.

    Its cleanup leaves a TLS connection open until the client has answered the farewell. That may be
    after the loop was closed, and the garbage collector then complains in some later test.
    """
    server = runner.server
    open_transports = [
        handler.transport
        for handler in (server.connections if server is not None else [])
        if handler.transport is not None
    ]
    await runner.cleanup()
    for transport in open_transports:
        transport.abort()
    await asyncio.sleep(0)  # the loop's next round closes the sockets
