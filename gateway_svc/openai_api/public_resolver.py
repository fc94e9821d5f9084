"""Names of upstream hosts, resolved to public addresses only."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import structlog
from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

_log = structlog.get_logger()

_NAT64: Final = IPv6Network("64:ff9b::/96")


class PublicResolver(AbstractResolver):
    """Leaves out every address that is not public.

    The connection is made to the very address that was looked at, so a name that changes between
    two look-ups (DNS rebinding) leads nowhere. With none left, the host cannot be reached.
    """

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        """Filter what *resolver* says; by default the system's."""
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the public addresses of *host*.

        Raises:
            OSError: There is none.
        """
        found = await self._resolver.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if found and not public:
            _log.warning("upstream_address_refused")
            raise OSError(None, "no public address")
        return public

    async def close(self) -> None:
        """Close what is behind."""
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Tell whether *address* is on the internet, and so is the IPv4 address that it may hold."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return parsed.is_global and not parsed.is_multicast
