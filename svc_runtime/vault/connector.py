"""The connector below the pool, which can change the client certificate under a running service."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

# Shorter than Vault's own `http_idle_timeout` (5 minutes) and than what load balancers allow, so
# that no request meets a connection that is just being closed.
_KEEPALIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A connection that was made.

    Attributes:
        generation: Of the certificate that it was made with.
        gone: Is done once its socket is closed.
    """

    generation: int
    gone: asyncio.Future[None]


class VaultConnector(aiohttp.TCPConnector):
    """Makes and keeps TLS connections to Vault; presents a client certificate once it has one.

    Vault's certificate login looks at the certificate of the connection that it comes over, which
    was chosen when that connection was made. So a connection that is older than the certificate
    in use is closed instead of used again.

    aiohttp forgets a connection that it closes, such as that of a call that was broken off. Its
    socket stays until Vault, too, has said goodbye, so `close` sees to these as well.
    """

    def __init__(self, context: ssl.SSLContext, max_connections: int) -> None:
        """Make at most *max_connections* at a time, with *context*.

        Args:
            context: TLS of every connection. This object's from now on.
            max_connections: Further requests wait.
        """
        super().__init__(ssl=context, limit=max_connections, keepalive_timeout=_KEEPALIVE_SECONDS)
        self._context = context
        self._generation = 0
        self._there: dict[asyncio.Transport, _Made] = {}

    def present(self, certificate: Path, key: Path) -> None:
        """Present this certificate from now on, on new connections only.

        Args:
            certificate: PEM file of the certificate chain.
            key: PEM file of its key, without password.

        Raises:
            OSError: A file cannot be read, or they are no pair (`ssl.SSLError`).
        """
        load_pair(self._context, certificate, key)
        self._generation += 1

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # aiohttp's signature
    ) -> Connection:
        """Return a kept connection, or a new one; none that is older than the certificate."""
        while True:
            generation = self._generation
            connection = await super().connect(req, traces, timeout)
            if (transport := connection.transport) is None:
                return connection  # lost already: the request finds out
            # Not seen before, it was made just now: with this generation, or a later one.
            made = self._there.get(transport) or self._follow(connection, transport, generation)
            if made is None or made.generation == self._generation:
                return connection
            connection.close()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections; none is left once this returns. Idempotent."""
        await super().close(abort_ssl=abort_ssl)
        for transport in self._there:
            transport.abort()
        await asyncio.gather(*(made.gone for made in self._there.values()), return_exceptions=True)

    def _follow(
        self, connection: Connection, transport: asyncio.Transport, generation: int
    ) -> _Made | None:
        """Remember a connection for as long as it is there; None if it is lost already."""
        gone = None if connection.protocol is None else connection.protocol.closed
        if gone is None:
            return None

        def forget(gone: asyncio.Future[None]) -> None:
            del self._there[transport]
            if not gone.cancelled():
                gone.exception()  # asked for, or asyncio would complain that nobody did

        made = self._there[transport] = _Made(generation, gone)
        gone.add_done_callback(forget)
        return made


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load a certificate and its key into *context*; of a key with password, refuse to ask for it.

    Raises:
        OSError: A file cannot be read, or they are no pair (`ssl.SSLError`).
    """
    context.load_cert_chain(certificate, key, password=lambda: "")
