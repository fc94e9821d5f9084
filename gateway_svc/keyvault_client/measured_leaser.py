"""Measures calls of OpenAI by their leases: each call has one, and settles it when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.lease_ports import (
    KeyLeaser,
    Lease,
    LeaseOutcome,
    LeaseRequest,
    LeaseSettlement,
)
from gateway_svc.domain.model_operation import OPERATIONS, operation_of
from gateway_svc.domain.usage import UsageSource
from gateway_svc.metrics import GEN_AI_DURATION, GEN_AI_TOKENS, OPERATION
from svc_runtime.clock import Clock
from svc_runtime.telemetry.metrics import NO_VALUE

_PROVIDER: Final = "openai"
_FIRST_ERROR: Final = 400
_ERRORS: Final = {
    LeaseOutcome.SERVED: NO_VALUE,
    LeaseOutcome.KEY_REJECTED: "401",
    LeaseOutcome.UPSTREAM_FAILED: "upstream_failed",
    LeaseOutcome.CANCELLED: "cancelled",
}

OPERATION.allow(OPERATIONS)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A call under way."""

    time: float
    operation: str
    model: str


class MeasuredKeyLeaser:
    """`KeyLeaser` that measures what becomes of the leases of another one."""

    def __init__(self, leaser: KeyLeaser, clock: Clock) -> None:
        """Measure those of *leaser*."""
        self._leaser = leaser
        self._clock = clock
        self._begun: dict[str, _Begun] = {}

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return a lease for one request; see `KeyLeaser.acquire`."""
        lease = await self._leaser.acquire(request, timeout_seconds)
        self._begun[lease.lease_id] = _Begun(
            self._clock.monotonic(), operation_of(request.method, request.endpoint), request.model
        )
        return lease

    async def check(self, lease_id: str, request: LeaseRequest, timeout_seconds: float) -> None:
        """Return if a request under way may go on; see `KeyLeaser.check`."""
        await self._leaser.check(lease_id, request, timeout_seconds)

    def settle(self, settlement: LeaseSettlement) -> None:
        """Report what became of a lease; see `KeyLeaser.settle`."""
        self._leaser.settle(settlement)
        begun = self._begun.pop(settlement.lease_id, None)
        if begun is not None and settlement.outcome is not LeaseOutcome.UNUSED:
            self._measure(begun, settlement)

    def _measure(self, begun: _Begun, settlement: LeaseSettlement) -> None:
        names = (begun.operation, _PROVIDER, begun.model)
        status = settlement.http_status
        error = str(status) if status >= _FIRST_ERROR else _ERRORS[settlement.outcome]
        GEN_AI_DURATION.record(self._clock.monotonic() - begun.time, *names, error)
        usage = settlement.usage
        if usage.source is not UsageSource.NONE:
            GEN_AI_TOKENS.record(usage.input_tokens, *names, "input")
            GEN_AI_TOKENS.record(usage.output_tokens, *names, "output")
