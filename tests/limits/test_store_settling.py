"""What both stores of limits promise of settling."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from keyvault_svc.domain.limit_store import LimitStore, Settled
from keyvault_svc.domain.limits import Amounts, LimitKind
from keyvault_svc.domain.names import OwnerKind, OwnerName
from tests.limits.limit_samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    figures,
    held,
    limit,
    reservation,
    settled,
    taken,
)

CALLS = limit(LimitKind.CONCURRENT_CALLS, 2)
PER_MINUTE = limit(LimitKind.REQUESTS_PER_MINUTE, 3)
TOKENS = limit(LimitKind.TOKENS_PER_DAY, 1000)
USD = limit(LimitKind.USD_PER_MONTH, 5_000_000)
ALL = (CALLS, PER_MINUTE, TOKENS, USD)


async def test_a_settlement_puts_what_was_taken_in_place_of_what_was_reserved(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", *ALL, tokens=400, micro_usd=7), NOW)

    assert await store.settle(taken(owner, "a", tokens=150, micro_usd=9), NOW) == Settled()
    assert figures(await store.standings(owner, ALL, NOW)) == [(0, 0), (1, 0), (150, 0), (9, 0)]


async def test_a_request_that_took_nothing_gives_all_back(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", *ALL, tokens=400, micro_usd=7), NOW)

    await store.settle(replace(taken(owner, "a"), amounts=Amounts(requests=0)), NOW)

    assert figures(await store.standings(owner, ALL, NOW)) == [(0, 0)] * 4


async def test_a_settlement_that_names_no_amounts_keeps_what_was_reserved(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", *ALL, tokens=400, micro_usd=7), NOW)
    as_reserved = replace(taken(owner, "a"), amounts=None)

    assert await store.settle(as_reserved, NOW) == Settled()
    assert await store.settle(as_reserved, NOW) is None
    assert figures(await store.standings(owner, ALL, NOW)) == [(0, 0), (1, 0), (400, 0), (7, 0)]
    assert await store.usage(owner, NOW.date(), NOW.date()) == []


async def test_what_was_reserved_counts_in_the_window_of_the_reservation(
    store: LimitStore, owner: OwnerName
) -> None:
    later = NOW + DAY
    once = reservation(owner, "a", TOKENS, tokens=400, end_time=later)
    await store.reserve(once, NOW)

    await store.settle(replace(taken(owner, "a"), amounts=None), later)

    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(400, 0)]
    assert figures(await store.standings(owner, [TOKENS], later)) == [(0, 0)]


async def test_a_settlement_frees_its_call(store: LimitStore, owner: OwnerName) -> None:
    for lease_id in ("a", "b"):
        await store.reserve(reservation(owner, lease_id, CALLS), NOW)

    await store.settle(taken(owner, "b"), NOW)

    assert figures(held(await store.reserve(reservation(owner, "c", CALLS), NOW))) == [(0, 2)]


async def test_a_settlement_counts_in_the_window_of_the_reservation(
    store: LimitStore, owner: OwnerName
) -> None:
    later = NOW + MINUTE
    await store.reserve(reservation(owner, "a", PER_MINUTE), NOW)
    await store.reserve(reservation(owner, "b", PER_MINUTE), later)

    await store.settle(taken(owner, "a"), later)

    assert figures(await store.standings(owner, [PER_MINUTE], NOW)) == [(1, 0)]
    assert figures(await store.standings(owner, [PER_MINUTE], later)) == [(0, 1)]


async def test_more_than_was_reserved_counts_in_full(store: LimitStore, owner: OwnerName) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=10), NOW)

    await store.settle(taken(owner, "a", tokens=1500), NOW)

    (standing,) = await store.standings(owner, [TOKENS], NOW)
    assert (standing.used, standing.held, standing.remaining) == (1500, 0, 0)


async def test_a_lease_is_settled_once(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=800), NOW)

    results = await asyncio.gather(
        *(each.settle(taken(owner, "a", tokens=70), NOW) for each in [store, other] * 10)
    )

    assert [result for result in results if result is not None] == [Settled()]
    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(70, 0)]
    assert await store.settle(taken(owner, "a", tokens=70), NOW) is None


async def test_a_lease_that_is_not_known_settles_nothing(
    store: LimitStore, owner: OwnerName
) -> None:
    assert await store.settle(taken(owner, "a", tokens=70), NOW) is None
    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 0)]


async def test_another_owners_lease_is_not_known(store: LimitStore, owner: OwnerName) -> None:
    team = OwnerName(OwnerKind.TEAM, owner.owner_id)
    await store.reserve(reservation(owner, "a"), NOW)

    assert await store.settle(taken(team, "a"), NOW) is None
    assert await store.settle(taken(owner, "a"), NOW) == Settled()


@pytest.mark.parametrize(("late", "is_known"), [(HOUR - SECOND, True), (HOUR, False)])
async def test_a_lease_is_known_for_an_hour_after_its_end(
    store: LimitStore, owner: OwnerName, late: object, *, is_known: bool
) -> None:
    once = reservation(owner, "a", TOKENS, tokens=800)
    await store.reserve(once, NOW)

    result = await store.settle(taken(owner, "a", tokens=70), once.end_time + late)  # type: ignore[operator]  # a timedelta

    assert (result is not None) == is_known
    assert figures(await store.standings(owner, [TOKENS], NOW)) == [
        (70, 0) if is_known else (0, 800)
    ]


async def test_a_forgotten_lease_can_be_reserved_anew(store: LimitStore, owner: OwnerName) -> None:
    once = reservation(owner, "a", TOKENS, tokens=300)
    await store.reserve(once, NOW)
    await store.settle(taken(owner, "a", tokens=100), NOW)
    later = once.end_time + HOUR

    again = await store.reserve(replace(once, end_time=later + MINUTE), later)

    assert figures(held(again)) == [(100, 300)]
    assert await store.settle(taken(owner, "a", tokens=50), later) == Settled()
    assert figures(await store.standings(owner, [TOKENS], later)) == [(150, 0)]


async def test_a_very_late_settlement_counts_in_no_window(
    store: LimitStore, owner: OwnerName
) -> None:
    once = reservation(owner, "a", TOKENS, tokens=1000, end_time=NOW + 3 * DAY)
    await store.reserve(once, NOW)

    assert settled(await store.settle(taken(owner, "a", tokens=1000), NOW + 3 * DAY)) == Settled()


async def test_the_largest_amounts_are_exact(store: LimitStore, owner: OwnerName) -> None:
    usd = replace(USD, limit=2**53 - 1)
    large = 2**48 - 1
    await store.reserve(reservation(owner, "a", usd, micro_usd=large), NOW)
    await store.reserve(reservation(owner, "b", usd, micro_usd=large), NOW)

    await store.settle(taken(owner, "a", micro_usd=large - 2), NOW)

    assert figures(await store.standings(owner, [usd], NOW)) == [(large - 2, large)]


@pytest.mark.parametrize("amount", [-5, 2**70], ids=["negative", "huge"])
async def test_an_absurd_amount_is_bounded(
    store: LimitStore, owner: OwnerName, amount: int
) -> None:
    usd = replace(USD, limit=2**70)
    await store.reserve(reservation(owner, "a", usd, micro_usd=amount), NOW)
    await store.settle(taken(owner, "a", micro_usd=amount), NOW)

    assert figures(await store.standings(owner, [usd], NOW)) == [(0 if amount < 0 else 2**48, 0)]
