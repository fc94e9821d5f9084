"""What both stores promise of budgets whose shares are used up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from keyvault_svc.domain.limit_store import Crossing, LimitStore, Settled
from keyvault_svc.domain.limits import LimitKind, LimitRef, LimitScope, Standing
from keyvault_svc.domain.names import OwnerName
from tests.limits.limit_samples import (
    DAY,
    HOUR,
    NOW,
    limit,
    reservation,
    settled,
    take,
    taken,
)

BUDGET = limit(LimitKind.TOKENS_PER_DAY, 1000)
MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)


async def _take_tokens(
    store: LimitStore, owner: OwnerName, lease_id: str, tokens: int, ref: LimitRef = BUDGET
) -> list[int]:
    result = await take(store, taken(owner, lease_id, tokens=tokens), ref)
    return [crossing.percent for crossing in result.crossings]


async def test_each_share_of_a_budget_is_told_once(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    shares = [(499, []), (1, [50]), (299, []), (1, [80]), (199, []), (1, [100]), (0, [])]

    told = [
        await _take_tokens((store, other)[place % 2], owner, str(place), tokens)
        for place, (tokens, _) in enumerate(shares)
    ]

    assert told == [percents for _, percents in shares]


async def test_of_several_shares_at_once_the_highest_is_told(
    store: LimitStore, owner: OwnerName
) -> None:
    result = await take(store, taken(owner, "a", tokens=850), BUDGET)

    assert result.crossings == (Crossing(Standing(BUDGET, 850, 0, MIDNIGHT), 80),)


async def test_a_share_is_told_once_however_many_settle_at_once(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    for number in range(20):
        await store.reserve(reservation(owner, str(number), BUDGET, tokens=50), NOW)

    results = await asyncio.gather(
        *(
            (store, other)[number % 2].settle(taken(owner, str(number), tokens=50), NOW)
            for number in range(20)
        )
    )

    told = [crossing.percent for result in results for crossing in settled(result).crossings]
    assert sorted(told) == [50, 80, 100]


async def test_a_budget_is_told_of_anew_in_its_next_window(
    store: LimitStore, owner: OwnerName
) -> None:
    first = await take(store, taken(owner, "a", tokens=500), BUDGET)
    second = await take(store, taken(owner, "b", tokens=500), BUDGET, now=MIDNIGHT)

    assert [crossing.percent for crossing in first.crossings + second.crossings] == [50, 50]


async def test_budgets_of_all_scopes_are_told_of_and_rates_are_not(
    store: LimitStore, owner: OwnerName
) -> None:
    usd = limit(LimitKind.USD_PER_MONTH, 1000, LimitScope.OWNER, "")
    rate = limit(LimitKind.TOKENS_PER_MINUTE, 1000)

    result = await take(store, taken(owner, "a", tokens=1000, micro_usd=600), rate, BUDGET, usd)

    told = [(crossing.standing.limit, crossing.percent) for crossing in result.crossings]
    assert told == [(BUDGET, 100), (usd, 50)]


async def test_the_shares_to_tell_of_can_be_chosen(store: LimitStore, owner: OwnerName) -> None:
    few = replace(taken(owner, "a", tokens=950), warning_percents=(90,))
    none = replace(taken(owner, "b", tokens=50), warning_percents=())

    assert [c.percent for c in (await take(store, few, BUDGET)).crossings] == [90]
    assert (await take(store, none, BUDGET)).crossings == ()


async def test_a_share_of_an_odd_budget_is_told_when_all_of_it_is_used(
    store: LimitStore, owner: OwnerName
) -> None:
    odd = replace(BUDGET, limit=3)

    told = [await _take_tokens(store, owner, str(n), 1, odd) for n in range(3)]

    assert told == [[], [50], [100]]


async def test_nothing_taken_of_an_empty_budget_is_no_share(
    store: LimitStore, owner: OwnerName
) -> None:
    assert await _take_tokens(store, owner, "a", 0, replace(BUDGET, limit=0)) == []


async def test_a_share_is_told_of_what_was_reserved_where_no_amounts_are_named(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", BUDGET, tokens=850), NOW)

    result = settled(await store.settle(replace(taken(owner, "a"), amounts=None), NOW))

    assert result.crossings == (Crossing(Standing(BUDGET, 850, 0, MIDNIGHT), 80),)


async def test_a_repetition_tells_of_no_share(store: LimitStore, owner: OwnerName) -> None:
    await _take_tokens(store, owner, "a", 500)

    assert await store.settle(taken(owner, "a", tokens=500), NOW) is None


async def test_a_late_settlement_beyond_the_day_tells_of_no_share(
    store: LimitStore, owner: OwnerName
) -> None:
    late = NOW + 3 * DAY
    await store.reserve(reservation(owner, "a", BUDGET, tokens=1000, end_time=late), NOW)

    assert await store.settle(taken(owner, "a", tokens=1000), late + HOUR / 2) == Settled()
