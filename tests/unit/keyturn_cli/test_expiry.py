from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyturn_cli.expiry import parse_duration, parse_expiry

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "time"),
    [
        ("30d", NOW + timedelta(days=30)),
        ("12h", NOW + timedelta(hours=12)),
        ("45m", NOW + timedelta(minutes=45)),
        ("2w", NOW + timedelta(weeks=2)),
        ("2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T02:00:00+02:00", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_duration_or_a_time_is_read(typed: str, time: datetime) -> None:
    assert parse_expiry(typed, NOW) == time


@pytest.mark.parametrize(
    "typed",
    ["", "0d", "-1d", "30", "d", "1.5d", "999999d", "tomorrow", "2027-01-01", "2027-01-01T00:00"],
)
def test_anything_else_is_refused_with_the_rule(typed: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_expiry(typed, NOW)


def test_a_past_time_is_refused() -> None:
    with pytest.raises(ValueError, match="future"):
        parse_expiry("2020-01-01T00:00:00Z", NOW)


@pytest.mark.parametrize(
    ("typed", "length"),
    [("0", timedelta()), ("24h", timedelta(days=1)), ("7d", timedelta(days=7))],
)
def test_a_length_of_time_is_read(typed: str, length: timedelta) -> None:
    assert parse_duration(typed) == length


@pytest.mark.parametrize("typed", ["", "0d", "-1h", "24", "2027-01-01T00:00:00Z"])
def test_what_is_no_length_of_time_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(typed)
