"""When something is to end, and how long it is to last, as people write it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

RULE: Final = "must be a duration such as 30d, 12h or 45m, or a time such as 2027-01-01T00:00:00Z"
DURATION_RULE: Final = "must be a duration such as 24h, 7d or 45m, or 0"

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_expiry(typed: str, now: datetime) -> datetime:
    """Return the time, in UTC, that *typed* means at *now*.

    Raises:
        ValueError: *typed* is neither a duration nor a time with a zone (`RULE`), or is past.
    """
    if match := _DURATION.fullmatch(typed):
        return now + int(match[1]) * _UNITS[match[2]]
    try:
        time = datetime.fromisoformat(typed)
    except ValueError:
        raise ValueError(RULE) from None
    if time.tzinfo is None:
        raise ValueError(f"{RULE}; a time needs its zone, Z for UTC")
    if time <= now:
        raise ValueError("must lie in the future")
    return time.astimezone(UTC)


def parse_duration(typed: str) -> timedelta:
    """Return the length of time that *typed* means.

    Raises:
        ValueError: *typed* is no duration (`DURATION_RULE`).
    """
    if typed == "0":
        return timedelta()
    if match := _DURATION.fullmatch(typed):
        length: timedelta = int(match[1]) * _UNITS[match[2]]
        return length
    raise ValueError(DURATION_RULE)
