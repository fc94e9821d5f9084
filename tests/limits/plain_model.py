"""The simplest thing that keeps limits: it adds up all leases each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from keyvault_svc.domain.limit_store import KnownLease
from keyvault_svc.domain.limits import WINDOWED, Amounts, LimitRef, Standing
from keyvault_svc.limits.counters import KEEP_LEASE


@dataclass(frozen=True)
class ModelLease:
    reserved: Amounts
    time: datetime
    end_time: datetime
    taken: Amounts | None = None


class PlainModel:
    """Knows every lease that was ever reserved, each with all of *limits*."""

    def __init__(self, limits: Sequence[LimitRef]) -> None:
        self._limits = limits
        self.leases: dict[str, ModelLease] = {}

    def standings(self, now: datetime) -> tuple[Standing, ...]:
        return tuple(self._standing(limit, now) for limit in self._limits)

    def reserve(
        self, lease_id: str, amounts: Amounts, end_time: datetime, now: datetime
    ) -> LimitRef | None:
        """Return the first limit that is full; None if it fits, and is reserved."""
        for limit in self._limits:
            amount = amounts.of(WINDOWED[limit.kind][0]) if limit.kind in WINDOWED else 1
            standing = self._standing(limit, now)
            if standing.used + standing.held + amount > limit.limit:
                return limit
        self.leases[lease_id] = ModelLease(amounts, now, end_time)
        return None

    def settle(self, lease_id: str, amounts: Amounts | None, now: datetime) -> bool:
        """Return whether it is settled by this; None takes what was reserved."""
        lease = self.leases.get(lease_id)
        if lease is None or lease.taken is not None or self.is_forgotten(lease_id, now):
            return False
        taken = lease.reserved if amounts is None else amounts
        self.leases[lease_id] = replace(lease, taken=taken)
        return True

    def is_forgotten(self, lease_id: str, now: datetime) -> bool:
        """Return whether a store may have removed the lease."""
        return now >= self.leases[lease_id].end_time + KEEP_LEASE

    def find(self, lease_id: str) -> KnownLease | None:
        """Return the lease, whose note is its id."""
        lease = self.leases.get(lease_id)
        return None if lease is None else KnownLease(lease_id, lease.taken is not None)

    def _standing(self, limit: LimitRef, now: datetime) -> Standing:
        if limit.kind not in WINDOWED:
            calls = [
                lease
                for lease in self.leases.values()
                if lease.taken is None and lease.end_time > now
            ]
            return Standing(limit, 0, len(calls), None)
        measure, window = WINDOWED[limit.kind]
        begin, end = window.bounds(now)
        within = [lease for lease in self.leases.values() if begin <= lease.time < end]
        used = sum(lease.taken.of(measure) for lease in within if lease.taken is not None)
        held = sum(lease.reserved.of(measure) for lease in within if lease.taken is None)
        return Standing(limit, used, held, end)
