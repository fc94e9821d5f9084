"""Nodes of a Vault that behave as told, down to the bytes on the wire."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import hvac.adapters

from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.answers import JSONObject
from svc_runtime.vault.login import VaultLogin, VaultToken
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.certs import Authority, write
from tests.integration.svc_runtime.vault_side import CANARY, DEADLINE_SECONDS

_STANDBY = b'{"errors":["local node not active but active cluster node not found"]}\n'
_LOST = b'{"errors":["1 error occurred:\\n\\t* leadership lost while committing log\\n\\n"]}\n'


class Behaviour(Enum):
    """What a node does with a request that has arrived; the value is status and body."""

    SERVES = (200, b'{"data":{"value":"kept"}}')
    SEALED = (503, b'{"errors":["Vault is sealed"]}\n')
    LEADERLESS = (500, _STANDBY)
    REDIRECTS = (307, b"")
    LOSES_LEADERSHIP = (500, _LOST)
    BAD_GATEWAY = (502, b"<html>")
    CUTS = (0, b"nothing is answered")
    CUTS_MIDWAY = (0, b"half of an answer is sent")
    SILENT = (0, b"no answer ever comes")

    @property
    def has_not_acted(self) -> bool:
        """Whether such a node certainly has not acted on the request."""
        return self in {Behaviour.SEALED, Behaviour.LEADERLESS}


@dataclass
class FixedLogin:
    """A login that asks nobody."""

    token: bytes = b"s.fixed"
    tried: int = field(default=0)

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        del adapter
        self.tried += 1
        return VaultToken(SecretBytes(self.token), "", 0, is_renewable=False, is_ours=False)


class Node:
    """Serves HTTPS on a free port of 127.0.0.1, one behaviour after another; the last one stays."""

    def __init__(
        self,
        context: ssl.SSLContext,
        behaviours: Iterable[Behaviour],
        arrivals: list[Behaviour] | None = None,
    ) -> None:
        self._context = context
        self.behaviours = list(behaviours)
        self.arrivals: list[Behaviour] = [] if arrivals is None else arrivals
        self.requests: list[str] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        self._writers.add(writer)  # here: a task that is cancelled before it begins closes nothing
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [line for line in head.splitlines() if line.lower().startswith("content-length:")]
        await reader.readexactly(int(lengths[0].split(":")[1]) if lengths else 0)
        behaviour = self.behaviours[0] if len(self.behaviours) == 1 else self.behaviours.pop(0)
        self.requests.append(head.splitlines()[0])
        self.arrivals.append(behaviour)
        status, body = behaviour.value
        if behaviour is Behaviour.SILENT:
            await reader.read()
            return False
        if behaviour is Behaviour.CUTS_MIDWAY:
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data":')
            await writer.drain()
        if not status:
            return False
        location = b"Location: https://127.0.0.1:1/\r\n" if status == 307 else b""
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), location, body)
        )
        await writer.drain()
        return True


class SilentListener:
    """Takes TCP connections, as the kernel does for a stopped process, and shakes no hand."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


class Snub:
    """Takes TCP connections and closes them before TLS is set up."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(
            lambda _, writer: writer.transport.abort(), "127.0.0.1", 0
        )
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


def server_context(authority: Authority, folder: Path) -> ssl.SSLContext:
    """Return TLS of a node, with a certificate of *authority* and files in *folder*."""
    folder.mkdir(exist_ok=True)
    files = write(folder, authority.server(), authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


class Site:
    """Nodes, and sessions with them."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.folder = folder
        self.ca_file = folder / "node-ca.pem"
        self.ca_file.write_bytes(self.authority.pem)
        self.context = server_context(self.authority, folder / "node")

    def node(self, *behaviours: Behaviour) -> Node:
        return Node(self.context, behaviours)

    def session(
        self,
        *addresses: str,
        timeout_seconds: float = DEADLINE_SECONDS,
        login: VaultLogin | None = None,
    ) -> VaultSession:
        connection = VaultConnection(
            addresses[0],
            self.ca_file,
            request_timeout_seconds=timeout_seconds,
            standby_addresses=addresses[1:],
        )
        return VaultSession(connection, login or FixedLogin(), SystemClock())


def get(adapter: hvac.adapters.Adapter) -> Awaitable[JSONObject]:
    return cast("Awaitable[JSONObject]", adapter.get("/v1/kv/data/x"))


def post(adapter: hvac.adapters.Adapter) -> Awaitable[JSONObject]:
    return cast("Awaitable[JSONObject]", adapter.post("/v1/kv/data/x", json={"a": CANARY}))
