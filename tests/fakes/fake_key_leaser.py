"""A key service that leases, refuses, and writes down what is settled."""

from __future__ import annotations

from gateway_svc.domain.lease_ports import Lease, LeaseRequest, LeaseSettlement
from svc_runtime.service_error import ServiceError


class FakeKeyLeaser:
    """`KeyLeaser` that gives one prepared lease or refusal.

    Attributes:
        requests: What was asked for.
        checks: What was asked about under way, with the lease that it named.
        settlements: What was settled.
    """

    def __init__(self, answer: Lease | ServiceError) -> None:
        """Give *answer* to every request."""
        self._answer = answer
        self.requests: list[LeaseRequest] = []
        self.checks: list[tuple[str, LeaseRequest]] = []
        self.settlements: list[LeaseSettlement] = []

    async def acquire(self, request: LeaseRequest, timeout_seconds: float) -> Lease:
        """Return the lease, or raise the refusal."""
        del timeout_seconds
        self.requests.append(request)
        if isinstance(self._answer, ServiceError):
            raise self._answer
        return self._answer

    async def check(self, lease_id: str, request: LeaseRequest, timeout_seconds: float) -> None:
        """Return, or raise the refusal."""
        del timeout_seconds
        self.checks.append((lease_id, request))
        if isinstance(self._answer, ServiceError):
            raise self._answer

    def settle(self, settlement: LeaseSettlement) -> None:
        """Write *settlement* down."""
        self.settlements.append(settlement)
