"""Ids of leases, which tell when they were made: 32 hexadecimal digits in UUIDv7's layout."""

from __future__ import annotations

import re
from typing import Final

_ID: Final = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_TIME_DIGITS: Final = 12
_MILLISECOND: Final = 1000


def lease_time_us(lease: str) -> int | None:
    """Return when *lease* was made, in microseconds since 1970; None if it is no id of a lease."""
    if not _ID.fullmatch(lease):
        return None
    return int(lease[:_TIME_DIGITS], 16) * _MILLISECOND
