"""Measures the store of limits: what was asked, how it ended, how long it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from datetime import date, datetime
from typing import TypeVar

from keyvault_svc.domain.limit_store import (
    Exceeded,
    Held,
    KnownLease,
    LimitStore,
    Reservation,
    Settled,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import LimitRef, Standing
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.metrics import LIMIT_STORE_DURATION

_Answer = TypeVar("_Answer")


class MeasuredLimitStore:
    """`LimitStore` that measures another one."""

    def __init__(self, store: LimitStore) -> None:
        """Measure *store*, which is this object's from now on."""
        self._store = store

    async def reserve(self, reservation: Reservation, now: datetime) -> Held | Exceeded:
        """Reserve all of it, or nothing; see `LimitStore.reserve`."""
        return await _measured("reserve", self._store.reserve(reservation, now))

    async def settle(self, taken: Taken, now: datetime) -> Settled | None:
        """Put what a lease took in place of what it reserved; see `LimitStore.settle`."""
        return await _measured("settle", self._store.settle(taken, now))

    async def find(self, owner: OwnerName, lease_id: str) -> KnownLease | None:
        """Return what is known of a lease; see `LimitStore.find`."""
        return await _measured("find", self._store.find(owner, lease_id))

    async def standings(
        self, owner: OwnerName, limits: Sequence[LimitRef], now: datetime
    ) -> tuple[Standing, ...]:
        """Return how far *limits* are used up; see `LimitStore.standings`."""
        return await _measured("standings", self._store.standings(owner, limits, now))

    async def usage(self, owner: OwnerName, since: date, until: date) -> list[UsageRow]:
        """Return the rows of the days from *since* to *until*; see `LimitStore.usage`."""
        return await _measured("usage", self._store.usage(owner, since, until))

    async def forget(self, owner: OwnerName, *, keeps_spent: bool = False) -> int:
        """Remove what is kept of *owner*; see `LimitStore.forget`."""
        return await _measured("forget", self._store.forget(owner, keeps_spent=keeps_spent))

    async def ping(self) -> None:
        """Return if the store answers."""
        await _measured("ping", self._store.ping())

    async def close(self) -> None:
        """Give back what is held open. Idempotent."""
        await self._store.close()


async def _measured(operation: str, work: Awaitable[_Answer]) -> _Answer:
    begin = time.monotonic()
    outcome = "ok"
    try:
        answer = await work
        if isinstance(answer, Exceeded):
            outcome = "exceeded"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    except Exception:
        outcome = "unavailable"
        raise
    else:
        return answer
    finally:
        LIMIT_STORE_DURATION.record(time.monotonic() - begin, operation, outcome)
