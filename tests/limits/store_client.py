"""A program that uses a store until it is killed, or in a race with others.

store_client.py load (PATH | PORT) OWNER          reserve and settle, and tell each, for ever
store_client.py race (PATH | PORT) OWNER PREFIX   reserve 100 at once, tell how many were held
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from keyvault_svc.domain.limit_store import Held, LimitStore
from keyvault_svc.domain.limits import LimitKind, LimitRef
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import NOW, limit, reservation, taken

RESERVED = 10
TAKEN = 3
TOKENS = limit(LimitKind.TOKENS_PER_MONTH, 10**12)
RACERS = 100
RACE = (
    limit(LimitKind.CONCURRENT_CALLS, 150),
    limit(LimitKind.REQUESTS_PER_MINUTE, 140),
    limit(LimitKind.TOKENS_PER_DAY, 130 * RESERVED + RESERVED - 1),
)


def open_store(place: str) -> LimitStore:
    if not place.isdigit():
        return FileLimitStore(Path(place), timeout_seconds=30)
    address = RedisAddress("127.0.0.1", int(place))
    return RedisLimitStore(RedisConnection((address,), is_tls=False, timeout_seconds=30))


async def load(store: LimitStore, owner: OwnerName) -> None:
    number = 0
    while True:
        await store.reserve(reservation(owner, str(number), TOKENS, tokens=RESERVED), NOW)
        sys.stdout.write("held\n")
        sys.stdout.flush()
        await store.settle(taken(owner, str(number), tokens=TAKEN), NOW)
        sys.stdout.write("settled\n")
        sys.stdout.flush()
        number += 1


async def race(store: LimitStore, owner: OwnerName, prefix: str) -> None:
    await store.ping()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    results = await reserve_at_once(store, owner, prefix, RACE)
    sys.stdout.write(f"{results}\n")
    await store.close()


async def reserve_at_once(
    store: LimitStore, owner: OwnerName, prefix: str, limits: tuple[LimitRef, ...]
) -> int:
    """Return how many of `RACERS` reservations are held."""
    results = await asyncio.gather(
        *(
            store.reserve(reservation(owner, f"{prefix}{n}", *limits, tokens=RESERVED), NOW)
            for n in range(RACERS)
        )
    )
    return sum(isinstance(result, Held) for result in results)


if __name__ == "__main__":
    _, action, where, who, *more = sys.argv
    name = OwnerName.parse(who, "owner")
    if action == "load":
        asyncio.run(load(open_store(where), name))
    else:
        asyncio.run(race(open_store(where), name, more[0]))
