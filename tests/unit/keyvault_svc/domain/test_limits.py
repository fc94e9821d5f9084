from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from keyvault_svc.domain.limits import (
    WINDOWED,
    Amounts,
    LimitKind,
    LimitRef,
    Limits,
    LimitScope,
    Measure,
    Standing,
    Window,
    micro_usd_covering,
    micro_usd_within,
)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # year, month, day and on


@pytest.mark.parametrize(
    ("window", "now", "begin", "end"),
    [
        (
            Window.MINUTE,
            _utc(2026, 3, 14, 15, 9, 26, 535897),
            _utc(2026, 3, 14, 15, 9),
            _utc(2026, 3, 14, 15, 10),
        ),
        (
            Window.MINUTE,
            _utc(2026, 12, 31, 23, 59, 59),
            _utc(2026, 12, 31, 23, 59),
            _utc(2027, 1, 1),
        ),
        (Window.DAY, _utc(2026, 2, 28, 23), _utc(2026, 2, 28), _utc(2026, 3, 1)),
        (Window.DAY, _utc(2028, 2, 28, 0), _utc(2028, 2, 28), _utc(2028, 2, 29)),
        (Window.MONTH, _utc(2026, 2, 1), _utc(2026, 2, 1), _utc(2026, 3, 1)),
        (Window.MONTH, _utc(2028, 2, 29, 12), _utc(2028, 2, 1), _utc(2028, 3, 1)),
        (Window.MONTH, _utc(2026, 1, 31, 23, 59), _utc(2026, 1, 1), _utc(2026, 2, 1)),
        (Window.MONTH, _utc(2026, 4, 30, 23, 59), _utc(2026, 4, 1), _utc(2026, 5, 1)),
        (Window.MONTH, _utc(2026, 12, 31, 23, 59), _utc(2026, 12, 1), _utc(2027, 1, 1)),
    ],
    ids=range(9),
)
def test_a_window_is_that_of_the_clock(
    window: Window, now: datetime, begin: datetime, end: datetime
) -> None:
    assert window.bounds(now) == (begin, end)


@pytest.mark.parametrize("window", Window)
def test_a_window_ends_where_the_next_one_begins(window: Window) -> None:
    now = _utc(2026, 1, 1)
    for _ in range(500):
        begin, end = window.bounds(now)

        assert begin == now
        now = end


def test_a_window_is_one_of_utc_wherever_the_time_was_told() -> None:
    tokyo = datetime(2026, 4, 1, 3, tzinfo=timezone(timedelta(hours=9)))

    assert Window.MONTH.bounds(tokyo) == (_utc(2026, 3, 1), _utc(2026, 4, 1))


def test_limits_are_given_in_the_order_of_checks_and_usd_in_millionths() -> None:
    limits = Limits(1, 2, 3, 4, 5, Decimal("0.0000069"), Decimal(7))

    assert list(limits.given()) == list(zip(LimitKind, [1, 2, 3, 4, 5, 6, 7_000_000], strict=True))
    assert list(Limits().given()) == []


def test_a_limit_of_nothing_is_a_limit() -> None:
    limits = Limits(requests_per_minute=0, usd_per_day=Decimal(0))

    assert list(limits.given()) == [
        (LimitKind.REQUESTS_PER_MINUTE, 0),
        (LimitKind.USD_PER_DAY, 0),
    ]


def test_there_is_a_limit_of_each_kind() -> None:
    assert [field.name for field in fields(Limits)] == [kind.value for kind in LimitKind]


@pytest.mark.parametrize("kind", LimitKind)
def test_what_must_be_known_of_a_request_follows_from_what_is_counted(kind: LimitKind) -> None:
    limits = Limits(**{kind.value: 5})  # type: ignore[arg-type]  # USD may be whole, too
    measure = WINDOWED[kind][0] if kind in WINDOWED else None

    assert limits.count_tokens == (measure is Measure.TOKENS)
    assert limits.count_usd == (measure is Measure.MICRO_USD)


def test_budgets_are_the_limits_of_days_and_months() -> None:
    long_ones = {kind for kind, (_, window) in WINDOWED.items() if window is not Window.MINUTE}

    assert {kind for kind in LimitKind if kind.is_budget} == long_ones


@pytest.mark.parametrize(
    ("usd", "within", "covering"),
    [
        ("0", 0, 0),
        ("1", 1_000_000, 1_000_000),
        ("0.0000001", 0, 1),
        ("1.0000019", 1_000_001, 1_000_002),
        ("999999999.999999", 999_999_999_999_999, 999_999_999_999_999),
    ],
)
def test_a_limit_is_rounded_down_and_a_cost_up(usd: str, within: int, covering: int) -> None:
    assert (micro_usd_within(Decimal(usd)), micro_usd_covering(Decimal(usd))) == (within, covering)


def test_each_measure_is_one_of_the_amounts() -> None:
    amounts = Amounts(1, 2, 3)

    assert [amounts.of(measure) for measure in Measure] == [1, 2, 3]


@pytest.mark.parametrize(("used", "held", "remaining"), [(3, 4, 3), (10, 0, 0), (11, 5, 0)])
def test_what_remains_is_never_less_than_nothing(used: int, held: int, remaining: int) -> None:
    ref = LimitRef(LimitScope.KEY, "openai", LimitKind.TOKENS_PER_DAY, 10)

    assert Standing(ref, used, held, None).remaining == remaining
