"""The ledger of leases in this process's memory.

Right for one replica. With several, a gateway may settle at a replica that did not give the
lease: the settlement counts there, and the replica that gave it reports the lease as unsettled
when its time is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.lease import Lease, LeaseOutcome, LeaseRequest, LeaseSettlement
from keyvault_svc.domain.names import GrantName
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

    def open(self, lease: Lease, request: LeaseRequest) -> None:
        """Record that *lease* was given."""
        reservation = LeaseSettlement(
            lease.lease_id,
            request.request_id,
            str(lease.key),
            str(GrantName(lease.key, lease.grant_id)),
            str(request.app),
            LeaseOutcome.UNSETTLED,
            Usage(request.token_bound, model=request.model, source=UsageSource.RESERVED),
        )
        self._open[lease.lease_id] = _OpenLease(
            self._clock.now() + self._settle_within, reservation
        )

    def settle(self, settlement: LeaseSettlement) -> LeaseSettlement | None:
        """Record what became of a lease; None when it had been settled.

        Returns:
            The settlement, with what the lease was given for where the gateway knew no better.
        """
        if settlement.lease_id in self._settled:
            return None
        lease = self._open.pop(settlement.lease_id, None)
        self._settled[settlement.lease_id] = None
        if len(self._settled) > _REMEMBERED:
            del self._settled[next(iter(self._settled))]
        return settlement if lease is None else settlement.completed(lease.reservation.usage)

    def expire(self, now: datetime) -> list[LeaseSettlement]:
        """Settle at their reservation the leases that nobody settled in time."""
        expired: list[LeaseSettlement] = []
        for lease in self._open.values():
            if lease.settle_by > now:
                break
            expired.append(lease.reservation)
        settled = (self.settle(reservation) for reservation in expired)
        return [reservation for reservation in settled if reservation is not None]
