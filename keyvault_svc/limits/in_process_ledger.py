"""The ledger of the leases that this process gave.

What limits and usage need stands in the store of limits, which replicas share. The ledger knows
which leases nobody settled in time, and serves for those that were given while the store was away.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.lease import Lease, LeaseRequest
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.clock import Clock

# Settled ids are remembered to recognise repetitions. A gateway repeats a batch within seconds.
_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class _OpenLease:
    settle_by: datetime
    reservation: LeaseSettlement


class InProcessLedger:
    """`LeaseLedger` in a dict; for use by one event loop."""

    def __init__(self, clock: Clock, *, settle_within_seconds: float) -> None:
        """Wait *settle_within_seconds* for settlements: the longest request, and some."""
        self._clock = clock
        self._settle_within = timedelta(seconds=settle_within_seconds)
        self._open: dict[
            str, _OpenLease
        ] = {}  # in order of settle_by, as leases are given in order
        self._settled: dict[str, None] = {}  # an ordered set

    def open(self, lease: Lease, request: LeaseRequest, bound: Usage) -> None:
        """Record that *lease* was given, for a request that takes *bound* at most."""
        reservation = LeaseSettlement(
            lease.lease_id,
            request.request_id,
            GrantName(lease.key, lease.grant_id),
            str(request.app),
            LeaseOutcome.UNSETTLED,
            replace(bound, model=request.model, source=UsageSource.RESERVED),
        )
        self._open[lease.lease_id] = _OpenLease(
            self._clock.now() + self._settle_within, reservation
        )

    def settle(self, settlement: LeaseSettlement) -> LeaseSettlement | None:
        """Record what became of a lease; None when it had been settled, or is another grant's.

        Returns:
            The settlement, with what the lease was given for where the gateway knew no better.
        """
        if settlement.lease_id in self._settled:
            return None
        lease = self._open.get(settlement.lease_id)
        if lease is not None and not settlement.is_of_lease(lease.reservation):
            return None
        self._open.pop(settlement.lease_id, None)
        self._settled[settlement.lease_id] = None
        if len(self._settled) > _REMEMBERED:
            del self._settled[next(iter(self._settled))]
        return settlement if lease is None else settlement.completed(lease.reservation.usage)

    def due(self, now: datetime) -> list[LeaseSettlement]:
        """Return the leases that nobody settled in time, at what they were given for."""
        overdue = itertools.takewhile(lambda lease: lease.settle_by <= now, self._open.values())
        return [lease.reservation for lease in overdue]
