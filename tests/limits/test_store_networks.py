"""What both stores promise of first uses and new networks, and of forgetting."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime

import pytest

from keyvault_svc.domain.limit_store import LimitStore, Taken
from keyvault_svc.domain.limits import Amounts, LimitKind, LimitScope
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits import counters, file_traces, redis_calls
from tests.limits.limit_samples import (
    DAY,
    GRANT,
    MINUTE,
    NOW,
    SECOND,
    figures,
    limit,
    reservation,
    row,
    settled,
    take,
    taken,
)

BUDGET = limit(LimitKind.TOKENS_PER_DAY, 1000)


def _from(owner: OwnerName, lease_id: str, network: str, grant_id: str = GRANT) -> Taken:
    return replace(taken(owner, lease_id), grant_id=grant_id, network=network)


async def _news(store: LimitStore, request: Taken, now: datetime = NOW) -> tuple[bool, bool]:
    result = await take(store, request, now=now)
    return result.is_first_use, result.is_new_network


async def test_the_first_use_of_a_grant_and_each_new_network_are_told_once(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    networks = ["192.0.2.0/24", "192.0.2.0/24", "", "198.51.100.0/24", "198.51.100.0/24", ""]

    told = [
        await _news((store, other)[place % 2], _from(owner, str(place), network))
        for place, network in enumerate(networks)
    ]

    assert told == [
        (True, False),
        (False, False),
        (False, False),
        (False, True),
        (False, False),
        (False, False),
    ]


async def test_the_first_network_after_uses_from_none_is_new(
    store: LimitStore, owner: OwnerName
) -> None:
    assert await _news(store, _from(owner, "a", "")) == (True, False)
    assert await _news(store, _from(owner, "b", "192.0.2.0/24")) == (False, True)


async def test_another_grant_has_its_own_first_use(store: LimitStore, owner: OwnerName) -> None:
    await _news(store, _from(owner, "a", "192.0.2.0/24"))

    assert await _news(store, _from(owner, "b", "192.0.2.0/24", "1" * 16)) == (True, False)


async def test_no_grant_is_never_used_for_the_first_time(
    store: LimitStore, owner: OwnerName
) -> None:
    assert await _news(store, _from(owner, "a", "192.0.2.0/24", "")) == (False, False)


async def test_a_first_use_is_told_once_however_many_settle_at_once(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    for number in range(20):
        await store.reserve(reservation(owner, str(number)), NOW)

    results = await asyncio.gather(
        *(
            (store, other)[number % 2].settle(_from(owner, str(number), "192.0.2.0/24"), NOW)
            for number in range(20)
        )
    )

    assert sum(settled(result).is_first_use for result in results) == 1
    assert not any(settled(result).is_new_network for result in results)


async def test_a_network_is_forgotten_400_days_after_its_last_use(
    store: LimitStore, owner: OwnerName
) -> None:
    await _news(store, _from(owner, "a", "192.0.2.0/24"))
    await _news(store, _from(owner, "b", "198.51.100.0/24"))
    await _news(store, _from(owner, "c", "192.0.2.0/24"), NOW + DAY)
    later = NOW + 400 * DAY

    assert await _news(store, _from(owner, "d", "192.0.2.0/24"), later) == (False, False)
    assert await _news(store, _from(owner, "e", "198.51.100.0/24"), later) == (False, True)


async def test_a_grant_that_was_not_used_for_400_days_is_used_for_the_first_time(
    store: LimitStore, owner: OwnerName
) -> None:
    await _news(store, _from(owner, "a", "192.0.2.0/24"))

    later = NOW + 400 * DAY
    assert await _news(store, _from(owner, "b", "192.0.2.0/24"), later) == (True, False)


async def test_of_too_many_networks_the_least_recently_used_is_forgotten(
    store: LimitStore, owner: OwnerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (file_traces, redis_calls):
        monkeypatch.setattr(module, "MAX_NETWORKS", 3)
    names = ["a", "b", "c", "a", "d"]  # so that `b` is the least recently used
    for place, name in enumerate(names):
        await _news(store, _from(owner, str(place), name), NOW + place * SECOND)
    later = NOW + MINUTE

    told = [await _news(store, _from(owner, f"again-{n}", n), later) for n in ("a", "c", "d", "b")]

    assert told == [(False, False), (False, False), (False, False), (False, True)]


def test_a_grant_has_at_most_256_networks_and_a_day_10000_rows() -> None:
    assert (counters.MAX_NETWORKS, counters.MAX_USAGE_ROWS) == (256, 10_000)


async def test_all_that_is_kept_of_an_owner_can_be_forgotten(
    store: LimitStore, owner: OwnerName
) -> None:
    team = OwnerName.parse(f"teams/{owner.owner_id}", "owner")
    calls = limit(LimitKind.CONCURRENT_CALLS, 5)
    for who in (owner, team):
        request = replace(
            _from(who, "a", "192.0.2.0/24"), amounts=Amounts(tokens=9), row=row(), subject="s"
        )
        await take(store, request, BUDGET, calls)
        await store.reserve(reservation(who, "open", BUDGET, calls, tokens=9), NOW)

    assert await store.forget(owner) > 0

    assert await store.forget(owner) == 0
    assert figures(await store.standings(owner, [BUDGET, calls], NOW)) == [(0, 0), (0, 0)]
    assert await store.usage(owner, date.min, date.max) == []
    assert await store.find(owner, "open") is None
    assert await store.settle(taken(owner, "open", tokens=9), NOW) is None
    assert await _news(store, _from(owner, "b", "192.0.2.0/24")) == (True, False)
    assert figures(await store.standings(team, [BUDGET, calls], NOW)) == [(9, 9), (0, 1)]
    assert await store.usage(team, date.min, date.max) == [row()]


async def test_what_was_taken_of_an_owners_own_limits_can_be_kept_when_the_rest_is_forgotten(
    store: LimitStore, owner: OwnerName
) -> None:
    own_rate = limit(LimitKind.REQUESTS_PER_MINUTE, 50, LimitScope.OWNER, "")
    own_budget = limit(LimitKind.TOKENS_PER_DAY, 50, LimitScope.OWNER, "")
    own_calls = limit(LimitKind.CONCURRENT_CALLS, 50, LimitScope.OWNER, "")
    of_key = limit(LimitKind.TOKENS_PER_DAY, 50, LimitScope.KEY, "owner")
    limits = (own_rate, own_budget, own_calls, of_key)
    await take(store, replace(taken(owner, "a", tokens=9), row=row()), *limits)
    await store.reserve(reservation(owner, "open", *limits, tokens=5), NOW)

    assert await store.forget(owner, keeps_spent=True) > 0

    assert await store.forget(owner, keeps_spent=True) == 0
    left = await store.standings(owner, limits, NOW)
    assert figures(left) == [(1, 1), (9, 5), (0, 0), (0, 0)]
    assert await store.usage(owner, date.min, date.max) == []
    assert await store.settle(taken(owner, "open", tokens=1), NOW) is None
    assert await store.forget(owner) > 0
    assert figures(await store.standings(owner, limits, NOW)) == [(0, 0)] * 4
