"""What both stores of limits promise of reserving."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keyvault_svc.domain.limit_store import Exceeded, Held, LimitStore
from keyvault_svc.domain.limits import LimitKind, LimitScope, Standing
from keyvault_svc.domain.names import OwnerKind, OwnerName
from tests.limits.limit_samples import (
    GRANT,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    figures,
    held,
    limit,
    reservation,
    taken,
)

CALLS = limit(LimitKind.CONCURRENT_CALLS, 2)
PER_MINUTE = limit(LimitKind.REQUESTS_PER_MINUTE, 3)
TOKENS = limit(LimitKind.TOKENS_PER_DAY, 1000)
USD = limit(LimitKind.USD_PER_MONTH, 5_000_000)
ALL = (CALLS, PER_MINUTE, TOKENS, USD)


async def test_a_reservation_is_held_in_each_of_its_limits_in_their_order(
    store: LimitStore, owner: OwnerName
) -> None:
    result = await store.reserve(reservation(owner, "a", *ALL, tokens=400, micro_usd=7), NOW)

    assert result == Held(
        (
            Standing(CALLS, 0, 1, None),
            Standing(PER_MINUTE, 0, 1, datetime(2026, 3, 14, 15, 10, tzinfo=UTC)),
            Standing(TOKENS, 0, 400, datetime(2026, 3, 15, tzinfo=UTC)),
            Standing(USD, 0, 7, datetime(2026, 4, 1, tzinfo=UTC)),
        )
    )
    assert await store.standings(owner, ALL, NOW) == held(result)


async def test_a_reservation_fits_up_to_the_limit_and_not_beyond(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=600), NOW)
    await store.settle(taken(owner, "a", tokens=300), NOW)
    await store.reserve(reservation(owner, "b", TOKENS, tokens=500), NOW)

    too_much = await store.reserve(reservation(owner, "c", TOKENS, tokens=201), NOW)
    fitting = await store.reserve(reservation(owner, "c", TOKENS, tokens=200), NOW)

    midnight = datetime(2026, 3, 15, tzinfo=UTC)
    assert too_much == Exceeded(Standing(TOKENS, 300, 500, midnight), midnight)
    assert fitting == Held((Standing(TOKENS, 300, 700, midnight),))


async def test_the_first_limit_that_is_full_is_named_and_nothing_is_changed(
    store: LimitStore, owner: OwnerName
) -> None:
    full = replace(TOKENS, limit=99)
    limits = (CALLS, PER_MINUTE, full, replace(USD, limit=1))

    result = await store.reserve(reservation(owner, "a", *limits, tokens=100, micro_usd=2), NOW)

    assert isinstance(result, Exceeded)
    assert result.standing.limit == full
    assert figures(await store.standings(owner, limits, NOW)) == [(0, 0)] * 4
    assert await store.find(owner, "a") is None
    assert await store.settle(taken(owner, "a"), NOW) is None


async def test_what_is_more_than_the_limit_itself_never_fits(
    store: LimitStore, owner: OwnerName
) -> None:
    none = replace(CALLS, limit=0)

    tokens = await store.reserve(reservation(owner, "a", TOKENS, tokens=1001), NOW)
    calls = await store.reserve(reservation(owner, "a", none), NOW)

    assert isinstance(tokens, Exceeded)
    assert tokens.retry_time is None
    assert calls == Exceeded(Standing(none, 0, 0, None), None)


async def test_a_full_limit_of_calls_tells_when_the_first_of_them_is_over(
    store: LimitStore, owner: OwnerName
) -> None:
    for lease_id, seconds in (("a", 50), ("b", 40)):
        end_time = NOW + seconds * SECOND
        await store.reserve(reservation(owner, lease_id, CALLS, end_time=end_time), NOW)

    result = await store.reserve(reservation(owner, "c", CALLS), NOW)

    assert result == Exceeded(Standing(CALLS, 0, 2, None), NOW + 40 * SECOND)


async def test_a_call_is_over_at_its_end_by_itself(store: LimitStore, owner: OwnerName) -> None:
    end_time = NOW + 30 * SECOND
    for lease_id in ("a", "b"):
        await store.reserve(reservation(owner, lease_id, CALLS, end_time=end_time), NOW)

    before = await store.reserve(reservation(owner, "c", CALLS), end_time - SECOND)
    after = await store.reserve(reservation(owner, "c", CALLS), end_time)

    assert isinstance(before, Exceeded)
    assert figures(held(after)) == [(0, 1)]


async def test_what_nobody_settled_stays_charged_until_its_window_ends(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=900), NOW)

    same_day = await store.reserve(reservation(owner, "b", TOKENS, tokens=101), NOW + 8 * HOUR)
    next_day = await store.reserve(reservation(owner, "b", TOKENS, tokens=101), NOW + 9 * HOUR)

    assert isinstance(same_day, Exceeded)
    assert figures(held(next_day)) == [(0, 101)]


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        (LimitKind.REQUESTS_PER_MINUTE, datetime(2026, 2, 28, 23, 59, 59, 999999, UTC)),
        (LimitKind.TOKENS_PER_MINUTE, datetime(2026, 2, 28, 23, 59, 59, 999999, UTC)),
        (LimitKind.TOKENS_PER_DAY, datetime(2028, 2, 28, 23, 59, 59, 999999, UTC)),
        (LimitKind.TOKENS_PER_MONTH, datetime(2028, 2, 29, 23, 59, 59, 999999, UTC)),
        (LimitKind.USD_PER_DAY, datetime(2026, 12, 31, 23, 59, 59, 999999, UTC)),
        (LimitKind.USD_PER_MONTH, datetime(2026, 12, 31, 23, 59, 59, 999999, UTC)),
    ],
)
async def test_a_window_begins_empty_at_the_end_of_the_one_before(
    store: LimitStore, owner: OwnerName, kind: LimitKind, last: datetime
) -> None:
    one = limit(kind, 1)
    first = reservation(owner, "a", one, tokens=1, micro_usd=1, end_time=last + HOUR)
    second = replace(first, lease_id="b")

    await store.reserve(first, last)
    full = await store.reserve(second, last)
    rolled_over = await store.reserve(second, last + SECOND / 1_000_000)

    assert isinstance(full, Exceeded)
    assert full.retry_time == last + SECOND / 1_000_000
    assert figures(held(rolled_over)) == [(0, 1)]


async def test_a_lower_limit_holds_at_once(store: LimitStore, owner: OwnerName) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=600), NOW)

    result = await store.reserve(reservation(owner, "b", replace(TOKENS, limit=500), tokens=1), NOW)

    assert isinstance(result, Exceeded)


async def test_the_same_words_in_another_scope_subject_or_owner_count_apart(
    store: LimitStore, owner: OwnerName
) -> None:
    one = limit(LimitKind.REQUESTS_PER_MINUTE, 1)
    team = OwnerName(OwnerKind.TEAM, owner.owner_id)
    apart = (one, replace(one, scope=LimitScope.KEY), replace(one, subject="1" * 16))

    for place, ref in enumerate(apart):
        assert isinstance(await store.reserve(reservation(owner, str(place), ref), NOW), Held)
    assert isinstance(await store.reserve(reservation(team, "0", one), NOW), Held)

    for ref in apart:
        assert isinstance(await store.reserve(reservation(owner, "z", ref), NOW), Exceeded)


async def test_a_repeated_reservation_reserves_nothing_more(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    once = reservation(owner, "a", *ALL, tokens=800)
    first = await store.reserve(once, NOW)

    assert await other.reserve(once, NOW) == first
    await store.settle(taken(owner, "a", tokens=5), NOW)
    assert figures(held(await other.reserve(once, NOW))) == [(0, 0), (1, 0), (5, 0), (0, 0)]


async def test_a_store_answers_a_ping_and_closes_twice(store: LimitStore) -> None:
    await store.ping()
    await store.close()
    await store.close()


async def test_a_replica_whose_clock_is_behind_meets_the_count_of_its_window(
    store: LimitStore, owner: OwnerName
) -> None:
    """Replicas' clocks differ: one that is behind meets the window that is over for others."""
    one = limit(LimitKind.REQUESTS_PER_MINUTE, 1, subject=GRANT)
    await store.reserve(reservation(owner, "a", one), NOW)
    await store.reserve(reservation(owner, "b", one), NOW + MINUTE)

    assert isinstance(await store.reserve(reservation(owner, "c", one), NOW + SECOND), Exceeded)
