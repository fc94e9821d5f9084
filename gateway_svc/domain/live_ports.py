"""What WebSockets need from both of their sides, as contracts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.upstream_ports import UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes


@dataclass(frozen=True, slots=True)
class LiveClose:
    """How one side closed a WebSocket.

    Attributes:
        code: RFC 6455 close code; 1006 when the connection broke.
        reason: Text of at most 123 bytes.
    """

    code: int
    reason: str = ""


class LiveSide(Protocol):
    """One side of a WebSocket whose handshake is done: the app, or OpenAI."""

    async def receive(self) -> str | bytes | LiveClose:
        """Return the next message, or how the side closed. Never raises for a broken connection."""

    async def send(self, message: str | bytes) -> None:
        """Send one message; returns once the side has room for it."""

    async def close(self, close: LiveClose) -> None:
        """Close. Harmless when it is closed."""


class LiveUpstream(Protocol):
    """OpenAI, over WebSocket."""

    def connect(
        self,
        request: UpstreamRequest,
        subprotocols: Sequence[str],
        api_key: SecretBytes,
        timeout_seconds: float,
    ) -> AbstractAsyncContextManager[tuple[LiveSide, str, Headers]]:
        """Do the handshake; enter with OpenAI's side, the subprotocol that it chose, its headers.

        The plaintext is kept no longer than until the handshake's headers are written.

        Args:
            request: `GET`, with an empty body.
            subprotocols: What to offer.
            api_key: The key.
            timeout_seconds: For the handshake; the connection itself has no end.

        Raises:
            UpstreamRefusedLiveError: OpenAI answered the handshake with an HTTP error; carries its
                status, headers and body.
            UpstreamNotAllowedError: The request's base URL is none of the deployment's.
            UpstreamUnavailableError: OpenAI cannot be reached.
            UpstreamTimedOutError: It did not answer in time.
        """
