"""Where an HTTP server of aiohttp listens."""

from __future__ import annotations

import socket
import ssl

from aiohttp import web

_ALL_IPV6 = "::"


def site_at(
    runner: web.BaseRunner, address: str, ssl_context: ssl.SSLContext | None = None
) -> web.BaseSite:
    """Return the site of *runner* at *address*, which is to be started.

    `[::]` means all addresses of the machine, as it does for gRPC: asyncio by itself would listen
    on those of IPv6 alone.

    Args:
        runner: Set up.
        address: `host:port`; port 0 takes a free one.
        ssl_context: TLS of every connection; None for none.

    Raises:
        OSError: `[::]` cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host == _ALL_IPV6 and socket.has_dualstack_ipv6():
        both = socket.create_server((host, int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
        return web.SockSite(runner, both, ssl_context=ssl_context)
    return web.TCPSite(runner, host or None, int(port), ssl_context=ssl_context)
