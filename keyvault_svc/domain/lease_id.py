"""Ids of leases: unique, not to be guessed, and they tell when they were made."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RANDOM_BITS: Final = 80  # below the time; six of them give way to version and variant
_TIME_END: Final = 1 << 48
_VERSION: Final = 7 << 76
_VARIANT: Final = 0b10 << 62
_FIXED: Final = 0xF << 76 | 0b11 << 62


def new_lease_id(now: datetime) -> str:
    """Return a lease's id: 32 hexadecimal digits in the layout of a UUIDv7.

    The first 48 bits are the milliseconds from 1970 to *now*, 74 bits are random (RFC 9562, section
    5.7). Whoever reads it in a log knows when the lease was made, without a memory of older ones.

    Raises:
        ValueError: *now* is before 1970, or after the year 10889.
    """
    milliseconds = (now - _EPOCH) // _MILLISECOND
    if not 0 <= milliseconds < _TIME_END:
        raise ValueError("the clock is out of the range of ids")
    random_bits = secrets.randbits(_RANDOM_BITS) & ~_FIXED
    return f"{milliseconds << _RANDOM_BITS | _VERSION | _VARIANT | random_bits:032x}"
