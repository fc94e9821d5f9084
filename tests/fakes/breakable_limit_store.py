"""A store of limits that goes away where told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime

from keyvault_svc.domain.errors import LimitStoreUnavailableError
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


class BreakableLimitStore:
    """`LimitStore` in front of a real one.

    Attributes:
        asked: The operations that were asked for, in order.
        away: Operations that fail, by their names.
        lost: Operations of which only the answer is lost.
        stuck: Ids of leases that cannot be settled.
        after: What happens between an operation and its answer, by the operation's name.
    """

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self.asked: list[str] = []
        self.away: set[str] = set()
        self.lost: set[str] = set()
        self.stuck: set[str] = set()
        self.after: dict[str, Callable[[], Awaitable[object]]] = {}

    def break_all(self) -> None:
        """Go away, until `mend`."""
        self.away |= {"reserve", "settle", "find", "standings", "usage", "forget", "ping"}

    def mend(self) -> None:
        """Be there again."""
        self.away.clear()
        self.lost.clear()
        self.stuck.clear()

    async def reserve(self, reservation: Reservation, now: datetime) -> Held | Exceeded:
        """See `LimitStore.reserve`."""
        async with self._operation("reserve"):
            return await self._store.reserve(reservation, now)

    async def settle(self, taken: Taken, now: datetime) -> Settled | None:
        """See `LimitStore.settle`."""
        async with self._operation("settle"):
            if taken.lease_id in self.stuck:
                raise LimitStoreUnavailableError
            return await self._store.settle(taken, now)

    async def find(self, owner: OwnerName, lease_id: str) -> KnownLease | None:
        """See `LimitStore.find`."""
        async with self._operation("find"):
            return await self._store.find(owner, lease_id)

    async def standings(
        self, owner: OwnerName, limits: Sequence[LimitRef], now: datetime
    ) -> tuple[Standing, ...]:
        """See `LimitStore.standings`."""
        async with self._operation("standings"):
            return await self._store.standings(owner, limits, now)

    async def usage(self, owner: OwnerName, since: date, until: date) -> list[UsageRow]:
        """See `LimitStore.usage`."""
        async with self._operation("usage"):
            return await self._store.usage(owner, since, until)

    async def forget(self, owner: OwnerName, *, keeps_spent: bool = False) -> int:
        """See `LimitStore.forget`."""
        async with self._operation("forget"):
            return await self._store.forget(owner, keeps_spent=keeps_spent)

    async def ping(self) -> None:
        """See `LimitStore.ping`."""
        async with self._operation("ping"):
            await self._store.ping()

    async def close(self) -> None:
        """See `LimitStore.close`."""
        await self._store.close()

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[None]:
        self.asked.append(name)
        if name in self.away:
            raise LimitStoreUnavailableError
        try:
            yield
        finally:
            if act := self.after.pop(name, None):
                await act()
            if name in self.lost:
                raise LimitStoreUnavailableError
