"""An OpenAI that answers in pieces and fails where a test wants it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway_svc.domain.headers import Headers
from gateway_svc.domain.upstream_ports import StreamedBody, UpstreamAnswer, UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError


class FakeUpstream:
    """`Upstream` in memory.

    Attributes:
        sent: Every request, with the key that it bore.
        timeouts: How many seconds each request was given.
        streamed: What streamed bodies held, piece by piece.
        open_count: How many answers are being read.
    """

    def __init__(
        self,
        *pieces: bytes | ServiceError,
        status: int = 200,
        headers: Headers = (("content-type", "application/json"), ("x-request-id", "req-openai")),
        refuses_connection: BaseException | None = None,
    ) -> None:
        """Answer with *pieces*; an error among them is raised when its turn comes."""
        self._pieces: Sequence[bytes | ServiceError] = pieces
        self._status = status
        self._headers = headers
        self._refuses_connection = refuses_connection
        self.sent: list[tuple[UpstreamRequest, SecretBytes]] = []
        self.timeouts: list[float] = []
        self.streamed: list[bytes] = []
        self.open_count = 0

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        """Write *request* down and answer."""
        self.sent.append((request, api_key))
        self.timeouts.append(timeout_seconds)
        if self._refuses_connection is not None:
            raise self._refuses_connection
        if isinstance(request.body, StreamedBody):
            async for piece in request.body.pieces:
                self.streamed.append(piece)
        self.open_count += 1
        try:
            yield UpstreamAnswer(self._status, self._headers, self._body())
        finally:
            self.open_count -= 1

    async def _body(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, ServiceError):
                raise piece
            yield piece
