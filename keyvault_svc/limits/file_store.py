"""The store of limits in a file on this machine, for a deployment of one replica."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from keyvault_svc.domain.limit_store import (
    Exceeded,
    Held,
    KnownLease,
    Reservation,
    Settled,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import LimitRef, LimitScope, Standing
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits import file_counting, file_traces
from keyvault_svc.limits.counters import to_us
from keyvault_svc.limits.file_baselines import FileBaselineStore
from keyvault_svc.limits.group_commit import GroupCommit
from keyvault_svc.limits.limit_file import TABLES, open_limit_file

_T = TypeVar("_T")
# One work in 64 also removes up to 512 old rows of each table: more than 64 works add.
_PURGE_EVERY: Final = 64
_PURGED_AT_ONCE: Final = 512
_FORGOTTEN_AT_ONCE: Final = 5_000  # some milliseconds, in which leases wait


class FileLimitStore:
    """`LimitStore` in SQLite.

    What was answered survives a crash of the process and a power cut: each answer waits for its
    commit to be on the disk.
    """

    def __init__(self, path: Path | None, *, timeout_seconds: float = 2.0) -> None:
        """Open the file at *path*, made if there is none; None keeps all in memory.

        Args:
            path: On a local disk: network file systems lose locks.
            timeout_seconds: How long a call waits for the disk.

        Raises:
            LimitFileError: The file cannot be used.
        """
        self._commits = GroupCommit(open_limit_file(path), timeout_seconds=timeout_seconds)
        self._works = 0

    async def reserve(self, reservation: Reservation, now: datetime) -> Held | Exceeded:
        """See `LimitStore.reserve`."""
        return await self._run(
            partial(file_counting.reserve, reservation=reservation, now=now), now
        )

    async def settle(self, taken: Taken, now: datetime) -> Settled | None:
        """See `LimitStore.settle`."""
        return await self._run(partial(file_counting.settle, taken=taken, now=now), now)

    async def find(self, owner: OwnerName, lease_id: str) -> KnownLease | None:
        """See `LimitStore.find`."""
        return await self._commits.run(
            partial(file_counting.find, owner=str(owner), lease_id=lease_id)
        )

    async def standings(
        self, owner: OwnerName, limits: Sequence[LimitRef], now: datetime
    ) -> tuple[Standing, ...]:
        """See `LimitStore.standings`."""
        return await self._commits.run(
            partial(file_counting.standings, owner=str(owner), limits=limits, now=now)
        )

    async def usage(self, owner: OwnerName, since: date, until: date) -> list[UsageRow]:
        """See `LimitStore.usage`; leases are served between two days."""
        days = await self._commits.run(
            partial(file_traces.usage_days, owner=str(owner), since=since, until=until)
        )
        rows: list[UsageRow] = []
        for day in days:
            rows += await self._commits.run(
                partial(file_traces.usage_of, owner=str(owner), day=day)
            )
        return rows

    async def forget(self, owner: OwnerName, *, keeps_spent: bool = False) -> int:
        """See `LimitStore.forget`; leases are served between two parts."""
        part = partial(_forget, owner=str(owner), keeps_spent=keeps_spent)
        total = 0
        while removed := await self._commits.run(part):
            total += removed
        return total

    def baselines(self) -> FileBaselineStore:
        """Return the baselines in the same file; they are closed with it."""
        return FileBaselineStore(self._commits)

    async def ping(self) -> None:
        """See `LimitStore.ping`."""
        await self._commits.run(_ping)

    async def close(self) -> None:
        """See `LimitStore.close`."""
        await self._commits.close()

    async def _run(self, work: Callable[[sqlite3.Connection], _T], now: datetime) -> _T:
        """Run *work*, and now and then remove what is kept no longer."""
        self._works += 1
        if self._works % _PURGE_EVERY:
            return await self._commits.run(work)
        return await self._commits.run(partial(_do_and_purge, work=work, now_us=to_us(now)))


def _do_and_purge(
    db: sqlite3.Connection, work: Callable[[sqlite3.Connection], _T], now_us: int
) -> _T:
    result = work(db)
    for table in TABLES:
        db.execute(
            f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - a name of ours
            f"(SELECT rowid FROM {table} WHERE forget_us <= ? LIMIT ?)",
            (now_us, _PURGED_AT_ONCE),
        )
    return result


def _forget(db: sqlite3.Connection, owner: str, *, keeps_spent: bool) -> int:
    def remove(table: str, scope: str) -> int:
        return db.execute(
            f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - a name of ours
            f"(SELECT rowid FROM {table} WHERE owner = ? {scope} LIMIT ?)",
            (owner, _FORGOTTEN_AT_ONCE),
        ).rowcount

    but_owners = f"AND scope <> '{LimitScope.OWNER}'" if keeps_spent else ""
    return sum(remove(table, but_owners if table == "counter" else "") for table in TABLES)


def _ping(db: sqlite3.Connection) -> None:
    db.execute("SELECT 1 FROM lease LIMIT 1").fetchone()
