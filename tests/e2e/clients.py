"""Clients of a local stack, as apps and owners have them, and a transcript of what they got."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
from google.protobuf.message import Message

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn_cli.client_settings import read_env_file
from keyturn_cli.local.layout import OWNER
from keyturn_cli.local.stack import LocalStack
from svc_runtime.error_details import reason_of

DEADLINE_SECONDS = 15.0


@dataclass
class Clients:
    """What apps and owners need to call *stack*.

    Attributes:
        transcript: Every answer and error that passed through `keep`; the last test of the session
            searches it for the canary key.
        made_keys: Names of the keys that tests gave into custody, and did not delete.
    """

    stack: LocalStack
    transcript: list[str] = field(default_factory=list)
    made_keys: set[str] = field(default_factory=set)

    @property
    def env(self) -> dict[str, str]:
        """The variables of client.env."""
        return read_env_file(self.stack.layout.client_env)

    @asynccontextmanager
    async def gateway(
        self, *, app: str = "demo", replica: int = 1
    ) -> AsyncIterator[grpc.aio.Channel]:
        """Connect to a gateway as *app*."""
        certificate, key = self.stack.layout.certificate(f"app-{app}")
        async with self.channel(self.port("gateway", "grpc", replica), certificate, key) as channel:
            yield channel

    @asynccontextmanager
    async def owner_port(self, *, replica: int = 1) -> AsyncIterator[grpc.aio.Channel]:
        """Connect to a key service's owner port; calls need `owner_metadata`."""
        async with self.channel(self.port("keyvault", "owner", replica)) as channel:
            yield channel

    @asynccontextmanager
    async def channel(
        self, port: int, certificate: Path | None = None, key: Path | None = None
    ) -> AsyncIterator[grpc.aio.Channel]:
        """Connect to *port*, with a client certificate if one is given."""
        credentials = grpc.ssl_channel_credentials(
            self.stack.layout.ca_file.read_bytes(),
            key.read_bytes() if key else None,
            certificate.read_bytes() if certificate else None,
        )
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{port}", credentials, options=options
        ) as channel:
            yield channel

    @asynccontextmanager
    async def http(
        self, *, app: str | None = None, token: str | None = None, replica: int = 1
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Open an HTTP client of a gateway, with *app*'s certificate or a bearer *token*."""
        tls = ssl.create_default_context(cafile=self.stack.layout.ca_file)
        if app is not None:
            certificate, key = self.stack.layout.certificate(f"app-{app}")
            tls.load_cert_chain(certificate, key)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port('gateway', 'http', replica)}",
            connector=aiohttp.TCPConnector(ssl=tls),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS),
        ) as session:
            yield session

    def port(self, service: str, port: str, replica: int = 1) -> int:
        """Return a port of the stack, such as `owner` of `keyvault` or `grpc` of `gateway`."""
        suffix = "" if replica == 1 else f"-{replica}"
        return self.stack.ports[f"{service}{suffix}-{port}"]

    def owner_metadata(self, request_id: str | None = None) -> tuple[tuple[str, str], ...]:
        """Return what authenticates the owner."""
        return (
            ("authorization", f"Bearer {self.env['KEYTURN_OWNER_TOKEN']}"),
            ("x-keyturn-request-id", request_id or new_request_id()),
        )

    def keep(self, *received: object) -> None:
        """Write what a client received into the transcript, in every form that could show a key."""
        for thing in received:
            self.transcript += [str(thing), repr(thing)]
            if isinstance(thing, Message):
                self.transcript.append(repr(thing.SerializeToString()))
            if isinstance(thing, grpc.aio.AioRpcError):
                self.transcript += [str(thing.details()), str(thing.debug_error_string())]
                self.transcript += [str(thing.trailing_metadata()), str(thing.initial_metadata())]

    def reason(self, error: grpc.aio.AioRpcError) -> str | None:
        """Return the reason of *error*, which goes into the transcript."""
        self.keep(error)
        return reason_of(error)


def new_request_id() -> str:
    """Return a fresh request id."""
    return uuid.uuid4().hex


def key_name(key_id: str) -> str:
    """Return the name of the demo owner's key *key_id*."""
    return f"users/{OWNER}/keys/{key_id}"


def metadata(
    key: str | None = None, request_id: str | None = None, *more: tuple[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return a gateway call's metadata."""
    entries: Iterable[tuple[str, str | None]] = (
        ("x-keyturn-key", key),
        ("x-keyturn-request-id", request_id),
        *more,
    )
    return tuple((name, value) for name, value in entries if value is not None)


def parameters(
    text: str = "hello", model: str = "gpt-4o-mini"
) -> chat_service_pb.ChatCompletionParameters:
    """Return a question to a model."""
    return chat_service_pb.ChatCompletionParameters(
        model=model, messages=[chat_pb.ChatMessage(role="user", content=text)]
    )
