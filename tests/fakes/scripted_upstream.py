"""An OpenAI whose answers a test writes one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway_svc.domain.upstream_ports import UpstreamAnswer, UpstreamRequest
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_upstream import FakeUpstream


class ScriptedUpstream:
    """`Upstream` that plays several `FakeUpstream`s in turn, one a request.

    Attributes:
        sent: Every request, with the key that it bore.
        timeouts: How many seconds each request was given.
    """

    def __init__(self, *script: tuple[int, bytes] | ServiceError) -> None:
        """Answer with status and body, or fail, in this order."""
        self._script = list(script)
        self.sent: list[tuple[UpstreamRequest, SecretBytes]] = []
        self.timeouts: list[float] = []

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, api_key: SecretBytes, timeout_seconds: float
    ) -> AsyncIterator[UpstreamAnswer]:
        """Write *request* down and play the next answer."""
        self.sent.append((request, api_key))
        self.timeouts.append(timeout_seconds)
        step = self._script.pop(0)
        if isinstance(step, ServiceError):
            upstream = FakeUpstream(refuses_connection=step)
        else:
            status, body = step
            upstream = FakeUpstream(body[:1], body[1:], status=status)
        async with upstream.send(request, api_key, timeout_seconds) as answer:
            yield answer
