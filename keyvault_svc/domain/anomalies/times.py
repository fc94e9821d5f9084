"""Hours and days as whole numbers, in UTC: figures are kept by them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

HOURS_OF_DAY: Final = 24


def hour_of(time: datetime) -> int:
    """Return the hour of *time*."""
    utc = time.astimezone(UTC)
    return utc.toordinal() * HOURS_OF_DAY + utc.hour


def day_of(hour: int) -> int:
    """Return the day of *hour*."""
    return hour // HOURS_OF_DAY


def clock_of(hour: int) -> str:
    """Return how *hour* is written: `14:00 UTC`."""
    return f"{hour % HOURS_OF_DAY:02}:00 UTC"


def date_of(day: int) -> str:
    """Return how *day* is written: `2026-03-14`."""
    return date.fromordinal(day).isoformat()
