"""A key service that answers when the test lets it."""

from __future__ import annotations

import asyncio

from gateway_svc.domain.lease_ports import Lease, LeaseRequest
from svc_runtime.service_error import ServiceError
from tests.fakes.fake_key_leaser import FakeKeyLeaser


class SlowKeyLeaser(FakeKeyLeaser):
    """`FakeKeyLeaser` whose answers to `acquire` wait for `is_let_answer`.

    Attributes:
        is_asked: Set once somebody waits.
        is_let_answer: To be set.
        given_up_count: How many requests were cancelled.
    """

    def __init__(self, answer: Lease | ServiceError) -> None:
        """Give *answer* to every request, in time."""
        super().__init__(answer)
        self.is_asked = asyncio.Event()
        self.is_let_answer = asyncio.Event()
        self.given_up_count = 0

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Wait; then return the lease, or raise the refusal."""
        self.is_asked.set()
        try:
            await self.is_let_answer.wait()
        except asyncio.CancelledError:
            self.given_up_count += 1
            raise
        return await super().acquire(request, timeout_seconds)
