"""A span of time that a report is about, as it is typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keyturn_cli.audit.entries import parse_time_us
from keyturn_cli.audit.options import SECOND_US

RULE: Final = "must be a day such as 2027-01-31, or a time such as 2027-01-31T09:00:00Z"

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_US: Final = 24 * 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A span of time, in microseconds since 1970.

    Attributes:
        since_us: It begins here; None for no beginning.
        until_us: It ends just before; None for no end.
    """

    since_us: int | None = None
    until_us: int | None = None

    def holds(self, time_us: int) -> bool:
        """Return whether *time_us* is in it."""
        return (self.since_us is None or time_us >= self.since_us) and (
            self.until_us is None or time_us < self.until_us
        )


ALWAYS: Final = TimeSpan()


def parse_span(since: str | None, until: str | None) -> TimeSpan:
    """Return the span from *since* to *until*: ISO 8601 times, without an offset in UTC, or days.

    A day belongs to the span whole, whether it begins or ends it.

    Raises:
        ValueError: One means no time, or there is nothing between them.
    """
    span = TimeSpan(_parse(since, 0), _parse(until, _DAY_US))
    if span.since_us is not None and span.until_us is not None and span.since_us >= span.until_us:
        raise ValueError("the end must come after the beginning")
    return span


def _parse(typed: str | None, day_us: int) -> int | None:
    """Return what *typed* means, later by *day_us* if it is a day."""
    if typed is None:
        return None
    time_us = parse_time_us(typed)
    if time_us is None:
        raise ValueError(RULE)
    return time_us + (day_us if _DAY.fullmatch(typed) else 0)
