from __future__ import annotations

import pytest

from keyturn_cli.audit.time_span import RULE, TimeSpan, parse_span

HOUR_US = 3600 * 1_000_000
MIDNIGHT_US = 1_769_817_600 * 1_000_000  # 2026-01-31T00:00:00Z


def test_without_bounds_all_is_in_it() -> None:
    assert parse_span(None, None) == TimeSpan()
    assert TimeSpan().holds(0)


def test_a_day_belongs_to_the_span_whole() -> None:
    span = parse_span("2026-01-31", "2026-01-31")

    assert [span.holds(MIDNIGHT_US + hour * HOUR_US) for hour in (-1, 0, 23, 24)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_time_ends_the_span_just_before_it() -> None:
    span = parse_span("2026-01-31T01:00+01:00", "2026-01-31T02:00")

    assert span == TimeSpan(MIDNIGHT_US, MIDNIGHT_US + 2 * HOUR_US)
    assert not span.holds(MIDNIGHT_US + 2 * HOUR_US)


@pytest.mark.parametrize("typed", ["", "yesterday", "2026-02-31", "7d"])
def test_what_means_no_time_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="must be a day"):
        parse_span(typed, None)
    with pytest.raises(ValueError, match=RULE[:10]):
        parse_span(None, typed)


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="after the beginning"):
        parse_span("2026-02-01", "2026-01-31")
