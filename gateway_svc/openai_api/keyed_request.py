"""Puts the key on a request at the last moment, and takes it off at the first."""

from __future__ import annotations

from contextvars import ContextVar

from aiohttp import ClientConnectionError, ClientRequest, ClientResponse, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection

from svc_runtime.secret_bytes import SecretBytes


class OneTimeKey:
    """A key that can be taken once."""

    __slots__ = ("_key",)

    def __init__(self, key: SecretBytes) -> None:
        self._key: SecretBytes | None = key

    def take(self) -> SecretBytes | None:
        """Return the key the first time, None from then on."""
        key, self._key = self._key, None
        return key


KEY_FOR_REQUEST: ContextVar[OneTimeKey] = ContextVar("KEY_FOR_REQUEST")


class KeyedRequest(ClientRequest):
    """A request that bears the key of its context only while its headers are written.

    aiohttp keeps a request's headers for as long as its response lives, and hands them out in its
    exceptions. So the header is not among them before or after `send()`.
    """

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request's head with the key, and start its body."""
        key = KEY_FOR_REQUEST.get().take()
        if key is None:
            # aiohttp repeats a request on a connection that turns out dead. The key is gone then.
            raise ClientConnectionError("the connection was closed by OpenAI")
        self.headers[hdrs.AUTHORIZATION] = "Bearer " + key.expose().decode("ascii")
        del key
        try:
            return await super().send(conn)
        finally:
            del self.headers[hdrs.AUTHORIZATION]

    async def write_bytes(
        self,
        writer: AbstractStreamWriter,
        conn: Connection,
        content_length: int | None = None,
    ) -> None:
        """Write the body, after the head: it must not wait in memory for a slow app's body."""
        writer.send_headers()
        await super().write_bytes(writer, conn, content_length)
