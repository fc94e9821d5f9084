"""What both stores promise of leases that are known, and of the notes kept with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyvault_svc.domain.limit_store import MAX_NOTE, Held, KnownLease, LimitStore, Settled
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerKind, OwnerName
from tests.limits.limit_samples import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    figures,
    limit,
    reservation,
    taken,
)

TOKENS = limit(LimitKind.TOKENS_PER_DAY, 1000)


async def test_a_lease_without_limits_is_known_before_and_after_it_is_settled(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    assert await store.find(owner, "a") is None
    assert await store.reserve(reservation(owner, "a", note="n"), NOW) == Held(())

    assert await other.find(owner, "a") == KnownLease("n", is_settled=False)
    assert await store.settle(taken(owner, "a"), NOW) == Settled()
    assert await other.find(owner, "a") == KnownLease("n", is_settled=True)


async def test_a_lease_is_found_by_its_owner_and_id_only(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", note="n"), NOW)

    assert await store.find(OwnerName(OwnerKind.TEAM, owner.owner_id), "a") is None
    assert await store.find(owner, "b") is None


async def test_a_lease_is_known_after_its_end(store: LimitStore, owner: OwnerName) -> None:
    once = reservation(owner, "a", note="n")
    await store.reserve(once, NOW)
    await store.standings(owner, [TOKENS], once.end_time + HOUR - SECOND)

    assert await store.find(owner, "a") == KnownLease("n", is_settled=False)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "x" * MAX_NOTE,
        "\U0001f511" * MAX_NOTE,
        'a\0b\x1f\r\n\u2028"\\[{}]é',
        '{"key_id":"k"}',
        "17",
    ],
    ids=["empty", "longest", "longest in bytes", "odd characters", "json", "number"],
)
async def test_a_note_is_kept_as_it_is(store: LimitStore, owner: OwnerName, note: str) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, note=note), NOW)
    assert await store.find(owner, "a") == KnownLease(note, is_settled=False)

    await store.settle(taken(owner, "a"), NOW)
    assert await store.find(owner, "a") == KnownLease(note, is_settled=True)


def test_a_longer_note_is_refused(owner: OwnerName) -> None:
    with pytest.raises(ValueError, match="4,096"):
        reservation(owner, "a", note="x" * (MAX_NOTE + 1))


async def test_a_repeated_reservation_keeps_the_first_note(
    store: LimitStore, owner: OwnerName
) -> None:
    once = reservation(owner, "a", note="first")
    await store.reserve(once, NOW)
    await store.reserve(replace(once, note="second"), NOW)
    await store.settle(taken(owner, "a"), NOW)
    await store.reserve(replace(once, note="third"), NOW)

    assert await store.find(owner, "a") == KnownLease("first", is_settled=True)


async def test_a_lease_that_is_reserved_anew_has_its_own_note(
    store: LimitStore, owner: OwnerName
) -> None:
    once = reservation(owner, "a", note="first")
    await store.reserve(once, NOW)
    await store.settle(taken(owner, "a"), NOW)
    later = once.end_time + HOUR

    await store.reserve(replace(once, end_time=later + MINUTE, note="second"), later)

    assert await store.find(owner, "a") == KnownLease("second", is_settled=False)


async def test_what_was_found_of_a_lease_settles_it_as_a_read_of_its_own_does(
    store: LimitStore, other: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=100), NOW)
    known = await other.find(owner, "a")
    assert known is not None
    found = replace(taken(owner, "a", tokens=7), reserved=known.reserved)

    assert await other.settle(found, NOW) == Settled()
    assert await other.settle(found, NOW) is None
    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(7, 0)]


async def test_what_was_found_of_a_lease_settles_nothing_after_its_hour(
    store: LimitStore, owner: OwnerName
) -> None:
    once = reservation(owner, "a", TOKENS, tokens=100)
    await store.reserve(once, NOW)
    known = await store.find(owner, "a")
    assert known is not None
    found = replace(taken(owner, "a", tokens=7), reserved=known.reserved)

    assert await store.settle(found, once.end_time + HOUR) is None


async def test_what_was_found_of_a_lease_settles_nothing_once_it_is_forgotten(
    store: LimitStore, owner: OwnerName
) -> None:
    await store.reserve(reservation(owner, "a", TOKENS, tokens=100), NOW)
    known = await store.find(owner, "a")
    assert known is not None
    await store.forget(owner)

    found = replace(taken(owner, "a", tokens=7), reserved=known.reserved)
    assert await store.settle(found, NOW) is None
    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 0)]
