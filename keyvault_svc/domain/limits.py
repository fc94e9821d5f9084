"""Limits: what a grant, a key or an owner may take, and how a request counts against it.

All windows are those of the clock in UTC: a minute begins at its second 0, a month on its first
day. Amounts are integers: requests, tokens, and millionths of a USD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final, Self

from svc_runtime.service_error import InvalidFieldError

_MICRO_USD: Final = Decimal(1_000_000)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)

# Shares of a budget, in percent, of which the owner is told when they are used up.
WARNING_PERCENTS: Final = (50, 80, 100)
_USD: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")
_MAX_USD: Final = 1_000_000_000


class Measure(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    MICRO_USD = "micro_usd"


class Window(StrEnum):
    """For how long it is counted."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Return begin and end of the window that *now* lies in, in UTC."""
        now = now.astimezone(UTC)
        if self is Window.MINUTE:
            begin = now.replace(second=0, microsecond=0)
            return begin, begin + _MINUTE
        begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Window.DAY:
            return begin, begin + _DAY
        begin = begin.replace(day=1)
        return begin, (begin + 31 * _DAY).replace(day=1)


class LimitKind(StrEnum):
    """The limits that there are, in the order in which they are checked: rates, then budgets."""

    CONCURRENT_CALLS = "concurrent_calls"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    TOKENS_PER_MINUTE = "tokens_per_minute"
    TOKENS_PER_DAY = "tokens_per_day"
    TOKENS_PER_MONTH = "tokens_per_month"
    USD_PER_DAY = "usd_per_day"
    USD_PER_MONTH = "usd_per_month"

    @property
    def is_budget(self) -> bool:
        """Whether it is told as a budget that is spent, rather than as a rate."""
        return self in _BUDGETS


_BUDGETS: Final = frozenset(
    {
        LimitKind.TOKENS_PER_DAY,
        LimitKind.TOKENS_PER_MONTH,
        LimitKind.USD_PER_DAY,
        LimitKind.USD_PER_MONTH,
    }
)
WINDOWED: Final = {
    LimitKind.REQUESTS_PER_MINUTE: (Measure.REQUESTS, Window.MINUTE),
    LimitKind.TOKENS_PER_MINUTE: (Measure.TOKENS, Window.MINUTE),
    LimitKind.TOKENS_PER_DAY: (Measure.TOKENS, Window.DAY),
    LimitKind.TOKENS_PER_MONTH: (Measure.TOKENS, Window.MONTH),
    LimitKind.USD_PER_DAY: (Measure.MICRO_USD, Window.DAY),
    LimitKind.USD_PER_MONTH: (Measure.MICRO_USD, Window.MONTH),
}


_MAX_COUNT: Final = {
    LimitKind.CONCURRENT_CALLS: 1_000_000,
    LimitKind.REQUESTS_PER_MINUTE: 1_000_000_000,
    LimitKind.TOKENS_PER_MINUTE: 1_000_000_000_000,
    LimitKind.TOKENS_PER_DAY: 1_000_000_000_000,
    LimitKind.TOKENS_PER_MONTH: 1_000_000_000_000,
}


class LimitScope(StrEnum):
    """Whose limit it is, in the order in which limits are checked."""

    GRANT = "grant"
    KEY = "key"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be taken at most; None for no limit of that kind.

    Attributes:
        concurrent_calls: Requests under way at the same time.
        usd_per_day: US dollars, to the millionth.
        usd_per_month: US dollars, to the millionth.
    """

    concurrent_calls: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None

    def given(self) -> Iterator[tuple[LimitKind, int]]:
        """Yield each limit that is set, in the order of checks; USD in millionths."""
        for kind in LimitKind:
            limit: int | Decimal | None = getattr(self, kind.value)
            if limit is not None:
                yield kind, limit if isinstance(limit, int) else micro_usd_within(limit)

    @property
    def count_tokens(self) -> bool:
        """Whether one of them can only be kept for requests of which a token bound is known."""
        return any(
            kind in WINDOWED and WINDOWED[kind][0] is Measure.TOKENS for kind, _ in self.given()
        )

    @property
    def count_usd(self) -> bool:
        """Whether one of them can only be kept for requests whose highest cost is known."""
        return any(
            kind in WINDOWED and WINDOWED[kind][0] is Measure.MICRO_USD for kind, _ in self.given()
        )

    @classmethod
    def parse(
        cls,
        field: str,
        counts: Mapping[str, int],
        *,
        usd_per_day: str = "",
        usd_per_month: str = "",
    ) -> Self:
        """Check limits that come from outside.

        Args:
            field: Path of the limits, for errors.
            counts: The limits that are set, but those in USD, by their kind.
            usd_per_day: Decimal number; empty for no limit.
            usd_per_month: Likewise.

        Raises:
            InvalidFieldError: A limit breaks its rule.
        """
        for kind, count in counts.items():
            if not 1 <= count <= _MAX_COUNT[LimitKind(kind)]:
                raise InvalidFieldError(
                    f"{field}.{kind}", f"must be 1 to {_MAX_COUNT[LimitKind(kind)]:,}"
                )
        return cls(
            **counts,
            usd_per_day=_usd(f"{field}.usd_per_day", usd_per_day),
            usd_per_month=_usd(f"{field}.usd_per_month", usd_per_month),
        )

    def are_within(self, others: Limits) -> bool:
        """Tell whether these allow nothing that *others* do not."""
        mine, bounds = dict(self.given()), dict(others.given())
        return all(kind in mine and mine[kind] <= bound for kind, bound in bounds.items())


def _usd(field: str, unverified: str) -> Decimal | None:
    if not unverified:
        return None
    usd = Decimal(unverified) if _USD.fullmatch(unverified) else Decimal(0)
    if not 0 < usd <= _MAX_USD:
        raise InvalidFieldError(
            field, "must be a decimal number above 0 and up to 1,000,000,000, of at most 6 places"
        )
    return usd


def micro_usd_within(limit: Decimal) -> int:
    """Return a limit in USD as whole millionths, never more than it."""
    return int((limit * _MICRO_USD).to_integral_value(ROUND_FLOOR))


def micro_usd_covering(cost: Decimal) -> int:
    """Return a cost in USD as whole millionths, never less than it."""
    return int((cost * _MICRO_USD).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a request takes, or may take at most.

    Attributes:
        micro_usd: Millionths of a USD.
    """

    requests: int = 1
    tokens: int = 0
    micro_usd: int = 0

    def of(self, measure: Measure) -> int:
        """Return the amount that *measure* counts."""
        amount: int = getattr(self, measure.value)
        return amount


@dataclass(frozen=True, slots=True)
class LimitRef:
    """One limit of one grant, key or owner.

    Attributes:
        subject: Of a grant `{key id}/{grant id}`, of a key its id, of an owner nothing: with the
            scope, unique among what one owner has.
        limit: The most; USD in millionths.
    """

    scope: LimitScope
    subject: str
    kind: LimitKind
    limit: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one limit is used up.

    Attributes:
        used: Taken by settled requests of this window; for concurrent calls, 0.
        held: Reserved by requests under way.
        end_time: When the window ends; None for concurrent calls.
    """

    limit: LimitRef
    used: int
    held: int
    end_time: datetime | None

    @property
    def remaining(self) -> int:
        """What a further request may take."""
        return max(0, self.limit.limit - self.used - self.held)
