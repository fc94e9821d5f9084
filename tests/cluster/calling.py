"""Calls of apps and owners, and what became of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.breaking import SERVED, Verdict, verdict
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, parameters

REPLICAS: Final = (1, 2)
REFUSED: Final[Verdict] = ("PERMISSION_DENIED", "GRANT_REVOKED")
# What an outage may look like; each is answered before the caller's deadline.
OUTAGES: Final[frozenset[Verdict]] = frozenset(
    ("UNAVAILABLE", reason)
    for reason in ("VAULT_UNAVAILABLE", "KEY_SERVICE_UNAVAILABLE", "LEASE_EXPIRED")
)


@dataclass(frozen=True)
class Heard:
    """What came of one call.

    Attributes:
        begin: When it was made, on the monotonic clock.
        end: When it was answered.
        verdict: What the caller heard.
    """

    begin: float
    end: float
    verdict: Verdict


@dataclass
class Protocol:
    """What the calls of one cell came to.

    Attributes:
        calls: All that nothing but the fault, or an election before it, may keep from being served.
        calls_of_revoked: All with the key whose grant is revoked.
        has_elected: Whether nodes said that they ceased or began to lead, before the fault struck.
        fault_begin: When the fault began to strike.
        revoke_end: When a revocation had been acknowledged.
    """

    calls: list[Heard] = field(default_factory=list)
    calls_of_revoked: list[Heard] = field(default_factory=list)
    has_elected: bool = False
    fault_begin: float = math.inf
    revoke_end: float = math.inf

    def unexpected(self) -> list[Heard]:
        """Return calls that heard a refusal, or of an outage in other words, or before the fault.

        The revocation begins with the fault. Until it is acknowledged, a call may be served or
        refused; afterwards, none that is made may be served. An outage may come before the fault
        only if the nodes elected by themselves: on a busy machine, raft's shortest timers let them.
        """
        found = [heard for heard in self.calls if heard.verdict not in self._expected(heard)]
        for heard in self.calls_of_revoked:
            expected = self._expected(heard)
            if heard.end >= self.fault_begin:
                expected |= {REFUSED}
            if heard.begin >= self.revoke_end:
                expected -= {SERVED}
            if heard.verdict not in expected:
                found.append(heard)
        return found

    def _expected(self, heard: Heard) -> frozenset[Verdict]:
        may_be_out = self.has_elected or heard.end >= self.fault_begin
        return OUTAGES | {SERVED} if may_be_out else frozenset({SERVED})


@dataclass(frozen=True)
class Caller:
    """Calls the gateways over connections that stay."""

    clients: Clients
    channels: dict[int, grpc.aio.Channel]

    async def ask(self, key: str, replica: int) -> Heard:
        """Ask a gateway once, with *key*."""
        call = ChatCompletionServiceStub(self.channels[replica]).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key),
        )
        return await self.hear(call)

    async def hear(self, call: Awaitable[object]) -> Heard:
        """Await *call*, an app's or an owner's, and return what came of it."""
        begin = time.monotonic()
        heard = await verdict(self.clients, call)
        return Heard(begin, time.monotonic(), heard)


@asynccontextmanager
async def calling(clients: Clients) -> AsyncIterator[Caller]:
    """Connect to every gateway."""
    async with clients.gateway(replica=1) as first, clients.gateway(replica=2) as second:
        yield Caller(clients, dict(zip(REPLICAS, (first, second), strict=True)))


@asynccontextmanager
async def meanwhile(work: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    """Do *work* until the block ends; it is told so, and comes to its own end."""
    is_over = asyncio.Event()
    task = asyncio.ensure_future(work(is_over))
    try:
        yield
    finally:
        is_over.set()
        await task
