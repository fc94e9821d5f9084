from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from keyvault_svc.domain.anomalies.baseline_store import Change, Operation
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.limit_file import TABLES
from tests.limits.limit_samples import DAY, GRANT, HOUR, NOW, limit, reservation, row, taken

OWNER = OwnerName.parse("users/alice", "owner")
LIMITS = (
    limit(LimitKind.CONCURRENT_CALLS, 500),
    limit(LimitKind.REQUESTS_PER_MINUTE, 500),
    limit(LimitKind.USD_PER_MONTH, 500),
)


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of ours
        (counts[table],) = db.execute(query).fetchone()
    return counts


async def test_every_old_row_is_removed_as_work_goes_on() -> None:
    store = FileLimitStore(None)
    for number in range(200):
        await store.reserve(reservation(OWNER, str(number), *LIMITS), NOW)
    for number in range(100):
        used = replace(
            taken(OWNER, str(number)),
            row=row(str(number)),
            subject=str(number),
            grant_id=GRANT,
            network=str(number),
        )
        await store.settle(used, NOW)
    await store.baselines().change(OWNER, GRANT, [Change(Operation.ADD, "word", 1)], NOW)
    full = await store._commits.run(_counts)
    later = NOW + 800 * DAY
    for number in range(64):
        lease = reservation(OWNER, f"later-{number}", end_time=later + HOUR)
        await store.reserve(lease, later)

    left = await store._commits.run(_counts)
    await store.close()

    assert min(full.values()) >= 1
    assert (full["lease"], full["call"], full["usage"], full["network"]) == (200, 100, 100, 101)
    assert left == {**dict.fromkeys(TABLES, 0), "lease": 64}


async def test_the_file_does_not_grow_with_the_number_of_requests(tmp_path: Path) -> None:
    path = tmp_path / "limits.db"
    store = FileLimitStore(path)
    sizes = []
    for hour in range(4):
        now = NOW + hour * 2 * HOUR
        for number in range(300):
            lease = reservation(OWNER, f"{hour}-{number}", *LIMITS[:2], end_time=now)
            await store.reserve(lease, now)
        sizes.append((await store._commits.run(_counts))["lease"])
    await store.close()

    assert max(sizes) <= 300 + 64 * 2
