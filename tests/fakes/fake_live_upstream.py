"""An OpenAI that accepts WebSockets, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.live_ports import LiveSide
from gateway_svc.domain.upstream_ports import UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes
from tests.fakes.fake_live_side import FakeLiveSide


class FakeLiveUpstream:
    """`LiveUpstream` whose side of each connection is one that a test holds.

    Attributes:
        side: OpenAI's side.
        refusal: Raised in place of a connection, if a test sets it.
        offered: Each handshake, the subprotocols that were offered, and the key that it bore.
        open_count: How many connections are open.
    """

    def __init__(self) -> None:
        self.side = FakeLiveSide()
        self.refusal: Exception | None = None
        self.offered: list[tuple[UpstreamRequest, Sequence[str], SecretBytes]] = []
        self.open_count = 0

    @asynccontextmanager
    async def connect(
        self,
        request: UpstreamRequest,
        subprotocols: Sequence[str],
        api_key: SecretBytes,
        timeout_seconds: float,
    ) -> AsyncIterator[tuple[LiveSide, str, Headers]]:
        """Accept with the first subprotocol."""
        assert timeout_seconds > 0
        self.offered.append((request, subprotocols, api_key))
        if self.refusal is not None:
            raise self.refusal
        self.open_count += 1
        headers = (("x-request-id", "req-openai"), ("set-cookie", "canary"))
        try:
            yield self.side, next(iter(subprotocols), ""), headers
        finally:
            self.open_count -= 1
