"""What both stores promise of rows of usage, and of subjects that come again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from keyvault_svc.domain.limit_store import LimitStore, UsageRow
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits import file_traces, redis_calls
from tests.limits.limit_samples import (
    DAY,
    NOW,
    SECOND,
    figures,
    limit,
    reservation,
    row,
    take,
    taken,
    times,
)

BUDGET = limit(LimitKind.TOKENS_PER_DAY, 1000)


async def test_rows_of_the_same_words_and_day_add_up(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    for number in range(6):
        used = row("gpt-4o" if number % 3 else "o3")
        client = (store, other)[number % 2]
        await take(client, replace(taken(owner, str(number)), row=used))

    rows = await store.usage(owner, NOW.date(), NOW.date())

    assert rows == [times(row("gpt-4o"), 4), times(row("o3"), 2)]


async def test_usage_is_told_by_day_of_the_days_that_were_asked_for(
    store: LimitStore, owner: OwnerName
) -> None:
    for offset in (3, 0, 2, 1):
        used = row(day_offset=offset)
        await take(store, replace(taken(owner, str(offset)), row=used))

    today = NOW.date()
    assert await store.usage(owner, today + DAY, today + 2 * DAY) == [
        row(day_offset=1),
        row(day_offset=2),
    ]
    assert len(await store.usage(owner, date.min, date.max)) == 4
    assert await store.usage(owner, today + DAY, today) == []


async def test_a_row_keeps_each_of_its_words_and_amounts(
    store: LimitStore, owner: OwnerName
) -> None:
    used = UsageRow(NOW.date(), "k", "g", "a\x1f,[]", 'm"{}é', "", 1, 2**48, 3, 4, 5)

    await take(store, replace(taken(owner, "a"), row=used))

    assert await store.usage(owner, NOW.date(), NOW.date()) == [used]


async def test_long_words_are_cut(store: LimitStore, owner: OwnerName) -> None:
    used = replace(row("m" * 5000), app="a" * 5000)
    await take(store, replace(taken(owner, "a" * 5000), row=used, network="n" * 5000))

    (stored,) = await store.usage(owner, NOW.date(), NOW.date())

    assert (len(stored.model), len(stored.app)) == (128, 512)


async def test_beyond_the_days_rows_usage_is_counted_under_other(
    store: LimitStore, owner: OwnerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (file_traces, redis_calls):
        monkeypatch.setattr(module, "MAX_USAGE_ROWS", 3)
    for number, model in enumerate(["a", "b", "c", "d", "e", "a"]):
        await take(store, replace(taken(owner, str(number)), row=row(model)))
    await take(store, replace(taken(owner, "next"), row=row("f", day_offset=1)))

    rows = await store.usage(owner, NOW.date(), NOW.date() + DAY)

    assert [(used.model, used.member, used.requests) for used in rows] == [
        ("a", "alice", 2),
        ("b", "alice", 1),
        ("c", "alice", 1),
        ("other", "", 2),
        ("f", "alice", 1),
    ]


async def test_a_subject_counts_once_and_then_its_request_only(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    rate = limit(LimitKind.REQUESTS_PER_MINUTE, 100)
    for number, client in enumerate((store, other, store)):
        request = replace(taken(owner, str(number), tokens=300), subject="resp_1", row=row())
        await take(client, request, rate, BUDGET)

    once = row()
    assert figures(await store.standings(owner, [rate, BUDGET], NOW)) == [(3, 0), (300, 0)]
    assert await store.usage(owner, NOW.date(), NOW.date()) == [replace(once, requests=3)]


async def test_a_repeated_subject_takes_its_request_only_where_no_amounts_are_named(
    store: LimitStore, owner: OwnerName
) -> None:
    rate = limit(LimitKind.REQUESTS_PER_MINUTE, 100)
    for lease_id in ("a", "b"):
        await store.reserve(reservation(owner, lease_id, rate, BUDGET, tokens=300), NOW)
        request = replace(taken(owner, lease_id), amounts=None, subject="resp_1", row=row())
        await store.settle(request, NOW)

    assert figures(await store.standings(owner, [rate, BUDGET], NOW)) == [(2, 0), (300, 0)]
    assert await store.usage(owner, NOW.date(), NOW.date()) == [replace(row(), requests=2)]


async def test_another_subject_and_another_owners_are_counted(
    store: LimitStore, owner: OwnerName
) -> None:
    team = OwnerName.parse(f"teams/{owner.owner_id}", "owner")
    for who, subject in ((owner, "resp_1"), (owner, "resp_2"), (team, "resp_1")):
        request = replace(taken(who, subject, tokens=300), subject=subject)
        await take(store, request, BUDGET)

    assert figures(await store.standings(owner, [BUDGET], NOW)) == [(600, 0)]
    assert figures(await store.standings(team, [BUDGET], NOW)) == [(300, 0)]


@pytest.mark.parametrize(("later", "used"), [(60 * DAY - SECOND, 0), (60 * DAY, 300)])
async def test_a_subject_is_remembered_for_sixty_days(
    store: LimitStore, owner: OwnerName, later: timedelta, used: int
) -> None:
    for lease_id, now in (("a", NOW), ("b", NOW + later)):
        request = replace(taken(owner, lease_id, tokens=300), subject="resp_1")
        await take(store, request, BUDGET, now=now)

    assert figures(await store.standings(owner, [BUDGET], NOW + later)) == [(used, 0)]


async def test_no_subject_is_never_a_repetition(store: LimitStore, owner: OwnerName) -> None:
    for lease_id in ("a", "b"):
        await take(store, taken(owner, lease_id, tokens=300), BUDGET)

    assert figures(await store.standings(owner, [BUDGET], NOW)) == [(600, 0)]
