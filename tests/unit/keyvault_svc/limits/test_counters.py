from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyvault_svc.domain.limits import Amounts, LimitKind, LimitRef, LimitScope
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import Counter, OpenLease, from_us, to_us
from keyvault_svc.limits.redis_calls import Keys
from tests.limits.limit_samples import NOW, limit, reservation

OWNER = OwnerName.parse("teams/payments", "owner")
ALL = tuple(limit(kind, place) for place, kind in enumerate(LimitKind))


@pytest.mark.parametrize(
    "time", [NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999999, UTC)]
)
def test_times_are_exact_to_the_microsecond_in_a_double(time: datetime) -> None:
    microseconds = to_us(time)

    assert from_us(microseconds) == time
    assert int(float(microseconds)) == microseconds


def test_a_kept_lease_is_read_as_it_was_written() -> None:
    lease = OpenLease.of(reservation(OWNER, "a", *ALL, tokens=5, micro_usd=6), NOW)

    assert OpenLease.decode(lease.encode()) == lease
    assert lease.amounts == Amounts(1, 5, 6)
    assert [counter.ref for counter in lease.counters] == list(ALL)


@pytest.mark.parametrize(
    ("kind", "forgotten"),
    [
        (LimitKind.REQUESTS_PER_MINUTE, datetime(2026, 3, 14, 16, 10, tzinfo=UTC)),
        (LimitKind.TOKENS_PER_DAY, datetime(2026, 3, 16, tzinfo=UTC)),
        (LimitKind.USD_PER_MONTH, datetime(2026, 4, 2, tzinfo=UTC)),
    ],
)
def test_a_count_outlives_its_window_a_while(kind: LimitKind, forgotten: datetime) -> None:
    counter = Counter.of(limit(kind, 1), NOW)

    assert from_us(counter.forget_us) == forgotten


def test_a_forgotten_count_is_left_out_of_a_settlement_and_a_call_is_not() -> None:
    lease = OpenLease.of(reservation(OWNER, "a", *ALL), NOW)

    live = lease.live(to_us(NOW + timedelta(hours=2)))

    assert [counter.ref.kind for counter in live] == [
        kind for kind in LimitKind if not kind.value.endswith("_minute")
    ]


@pytest.mark.parametrize(
    ("most", "thresholds"),
    [
        (1000, [(50, 500), (80, 800), (100, 1000)]),
        (1, [(50, 1), (80, 1), (100, 1)]),
        (3, [(50, 2), (80, 3), (100, 3)]),
    ],
)
def test_a_share_is_used_up_from_the_first_amount_that_is_no_less(
    most: int, thresholds: list[tuple[int, int]]
) -> None:
    counter = Counter.of(limit(LimitKind.TOKENS_PER_DAY, most), NOW)

    assert counter.thresholds((50, 80, 100)) == thresholds


def test_all_keys_of_an_owner_carry_the_same_tag_and_differ() -> None:
    keys = Keys(OWNER)
    refs = [LimitRef(scope, "x", kind, 1) for scope in LimitScope for kind in LimitKind]
    names = [
        keys.index,
        keys.days,
        *(keys.lease("x"), keys.usage("x"), keys.networks("x"), keys.subject("x")),
        *(keys.counter(Counter.of(ref, NOW)) for ref in refs),
    ]

    assert all(name.startswith("keyturn:{teams/payments}:") for name in names)
    assert len(set(names)) == len(names)
