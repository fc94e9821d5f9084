"""Connections to the two services: always TLS, always with a deadline, never through a proxy."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc

from keyturn_cli.client_settings import ClientSettings

REQUEST_ID_KEY: Final = "x-keyturn-request-id"
"""Metadata entry that names a call in every log, the services' and Vault's."""

# A proxy of the environment is for the Internet; the services are internal.
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What goes with every call of one command.

    Attributes:
        timeout_seconds: The deadline of each call, from its start.
        request_id: 8 to 64 letters, digits, `.`, `_` or `-`.
    """

    timeout_seconds: float
    request_id: str


def new_request_id() -> str:
    """Return a fresh request id, of the form that the services make themselves."""
    return uuid.uuid4().hex


@asynccontextmanager
async def owner_channel(settings: ClientSettings) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to the key service's owner port, which takes a token and no client certificate."""
    credentials = grpc.ssl_channel_credentials(settings.read_file("KEYTURN_CA"))
    target = settings.require("KEYTURN_KEYS_GRPC")
    async with grpc.aio.secure_channel(target, credentials, options=_OPTIONS) as channel:
        yield channel


@asynccontextmanager
async def gateway_channel(settings: ClientSettings) -> AsyncIterator[grpc.aio.Channel]:
    """Connect to the gateway with the app's certificate."""
    credentials = grpc.ssl_channel_credentials(
        settings.read_file("KEYTURN_CA"),
        settings.read_file("KEYTURN_CERT_KEY"),
        settings.read_file("KEYTURN_CERT"),
    )
    target = settings.require("KEYTURN_GRPC")
    async with grpc.aio.secure_channel(target, credentials, options=_OPTIONS) as channel:
        yield channel
