"""The HTTP front over fakes, and clients that write to it byte by byte."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway_svc.http.server import HTTPServer
from tests.unit.gateway_svc.relay_stage import Stage

APP = "spiffe://example.org/app/billing"
JSON = b"host: localhost\r\ncontent-type: application/json\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server over fakes, and its clients.

    Attributes:
        stage: Tells what became of the leases.
        url: Where it serves.
        tls: The app's side of a connection.
    """

    def __init__(self, server: HTTPServer, stage: Stage, port: int, tls: ssl.SSLContext) -> None:
        self.server = server
        self.stage = stage
        self.url = f"https://localhost:{port}"
        self.tls = tls
        self._port = port

    @asynccontextmanager
    async def connected(self, sent: bytes, limit: int = 2**16) -> AsyncIterator[Streams]:
        """Connect as the app and send something."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self.tls, limit=limit
        )
        writer.write(sent)
        await writer.drain()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(self, sent: bytes) -> tuple[bytes, dict[str, Any]]:
        """Send something; return the head of the answer and the error in it."""
        async with self.connected(sent) as (reader, _):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
        return head, json.loads(body)["error"]


def _length(head: bytes) -> int:
    [line] = [x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
    return int(line.partition(b":")[2])
