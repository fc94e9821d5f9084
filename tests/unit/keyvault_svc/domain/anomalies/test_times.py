from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from keyvault_svc.domain.anomalies.times import clock_of, date_of, day_of, hour_of

TIME = datetime(2026, 3, 14, 23, 59, 59, 999_999, tzinfo=UTC)


def test_an_hour_tells_its_day_and_how_it_is_written() -> None:
    hour = hour_of(TIME)

    assert clock_of(hour) == "23:00 UTC"
    assert date_of(day_of(hour)) == "2026-03-14"


def test_hours_follow_each_other_over_midnight() -> None:
    later = hour_of(TIME + timedelta(microseconds=1))

    assert later == hour_of(TIME) + 1
    assert date_of(day_of(later)) == "2026-03-15"


def test_hours_are_those_of_utc() -> None:
    assert hour_of(TIME.astimezone(timezone(timedelta(hours=9)))) == hour_of(TIME)
