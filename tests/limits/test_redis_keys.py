"""What the Redis store leaves on the server: how long, under which names, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import subject_digest
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import GRANT, HOUR, MINUTE, NOW, limit, reservation, row, taken
from tests.valkey_server import ValkeyServer

LIMITS = (
    limit(LimitKind.CONCURRENT_CALLS, 5),
    limit(LimitKind.REQUESTS_PER_MINUTE, 5),
    limit(LimitKind.TOKENS_PER_DAY, 500),
    limit(LimitKind.USD_PER_MONTH, 500),
)


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis(port=valkey.port, decode_responses=True, protocol=2) as client:
        yield client


async def _use(store: RedisLimitStore, owner: OwnerName) -> None:
    await store.reserve(reservation(owner, "a", *LIMITS, end_time=NOW + 10 * MINUTE), NOW)
    used = replace(
        taken(owner, "a"), row=row(), subject="resp_1", grant_id=GRANT, network="192.0.2.0/24"
    )
    await store.settle(used, NOW)
    await store.reserve(reservation(owner, "b", *LIMITS, end_time=NOW + 10 * MINUTE), NOW)


async def test_every_key_is_the_owners_and_is_removed_in_time(
    valkey: ValkeyServer, client: Redis, owner: OwnerName
) -> None:
    store = RedisLimitStore(valkey.connection())
    await _use(store, owner)
    await store.close()
    prefix = f"keyturn:{{{owner}}}:"

    names = [name async for name in client.scan_iter(f"*{owner.owner_id}*")]
    left = {name.removeprefix(prefix): await client.ttl(name) for name in names}

    day_ends, month_ends = 31_833.5, 17 * 86_400 + 31_833.5  # seconds after NOW
    lease_seconds, usage_seconds = 600 + 3600, 400 * 86_400
    expected = {
        "index": 401 * 86_400,
        "lease:a": lease_seconds,
        "lease:b": lease_seconds,
        f"concurrent_calls:grant:{GRANT}": lease_seconds,
        f"requests_per_minute:grant:{GRANT}:1773500940": 33.5 + 3600,
        f"tokens_per_day:grant:{GRANT}:1773446400": day_ends + 86_400,
        f"usd_per_month:grant:{GRANT}:1772323200": month_ends + 86_400,
        "days": usage_seconds,
        "usage:2026-03-14": usage_seconds - (86_400 - day_ends),
        f"networks:{GRANT}": usage_seconds,
        f"subject:{subject_digest('resp_1')}": 60 * 86_400,
    }
    assert left == {name: pytest.approx(ttl, abs=30) for name, ttl in expected.items()}


async def test_forgetting_leaves_no_key(
    valkey: ValkeyServer, client: Redis, owner: OwnerName
) -> None:
    store = RedisLimitStore(valkey.connection())
    await _use(store, owner)

    await store.forget(owner)
    await store.close()

    assert [name async for name in client.scan_iter(f"*{owner.owner_id}*")] == []


async def test_the_index_loses_what_was_removed(
    valkey: ValkeyServer, client: Redis, owner: OwnerName
) -> None:
    store = RedisLimitStore(valkey.connection())
    for number in range(20):
        now = NOW + number * 2 * HOUR
        await store.reserve(reservation(owner, str(number), end_time=now + MINUTE), now)
    await store.close()

    assert await client.zcard(f"keyturn:{{{owner}}}:index") == 1


async def test_a_repeated_settlement_for_want_of_an_answer_gets_the_same_answer(
    valkey: ValkeyServer, owner: OwnerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is lost, and what it said would be lost with it."""
    budget = limit(LimitKind.TOKENS_PER_DAY, 10)
    store = RedisLimitStore(valkey.connection())
    await store.reserve(reservation(owner, "a", budget, tokens=10), NOW)
    settle = store._settle
    answers: list[object] = []

    async def losing_the_first(*arguments: object) -> object:
        answers.append(await settle(*arguments))  # type: ignore[arg-type]  # passed through
        if len(answers) == 1:
            raise ConnectionResetError
        return answers[-1]

    monkeypatch.setattr(store, "_settle", losing_the_first)
    result = await store.settle(replace(taken(owner, "a", tokens=10), grant_id=GRANT), NOW)

    assert result is not None
    assert result.is_first_use
    assert [crossing.percent for crossing in result.crossings] == [100]
    assert answers == [result, result]
    await store.close()
