"""What every store of limits agrees on: where a limit is counted, and what is kept for how long."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from keyvault_svc.domain.limit_store import (
    KEEP_SPENT,
    Exceeded,
    Reservation,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import (
    WINDOWED,
    Amounts,
    LimitKind,
    LimitRef,
    LimitScope,
    Measure,
    Standing,
    Window,
)

MAX_NETWORKS: Final = 256  # of a grant
MAX_USAGE_ROWS: Final = 10_000  # of an owner and day
OTHER_MODEL: Final = "other"

KEEP_LEASE: Final = timedelta(hours=1)  # after its end: gateways settle within minutes
KEEP_NETWORK: Final = timedelta(days=400)  # after its last use
KEEP_SUBJECT: Final = timedelta(days=60)  # OpenAI keeps its objects for 30
# After the window's end, for replicas whose clocks differ and for late settlements. Every minute
# makes new counters, and nobody is warned of a minute: those go sooner.
_KEEP_COUNTER: Final = {
    Window.MINUTE: timedelta(hours=1),
    Window.DAY: KEEP_SPENT,
    Window.MONTH: KEEP_SPENT,
}

# Sums of a thousand such amounts are exact in Lua (doubles, 2^53) and fit SQLite (2^63).
_LARGEST_AMOUNT: Final = 2**48
_LARGEST_LIMIT: Final = 2**53 - 1
_MAX_MODEL: Final = 128
_MAX_WORD: Final = 512
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(time: datetime) -> int:
    """Return *time* as microseconds since 1970: exact, and a double holds them exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the time of `to_us`."""
    return _EPOCH + microseconds * _MICROSECOND


def bounded(amount: int) -> int:
    """Return *amount* within what stores can add up."""
    return min(max(amount, 0), _LARGEST_AMOUNT)


def clipped(word: str) -> str:
    """Return *word*, cut to the length that is stored."""
    return word[:_MAX_WORD]


@dataclass(frozen=True, slots=True)
class Counter:
    """Where one limit is counted at one time.

    Attributes:
        begin_us: Begin of the window; 0 for concurrent calls.
        end_us: End of the window; 0 for concurrent calls.
        forget_us: When the window's count is removed; 0 for concurrent calls.
    """

    ref: LimitRef
    begin_us: int
    end_us: int
    forget_us: int

    @classmethod
    def of(cls, ref: LimitRef, now: datetime) -> Self:
        """Return the counter of *ref* in the window of *now*."""
        if ref.kind not in WINDOWED:
            return cls(ref, 0, 0, 0)
        _, window = WINDOWED[ref.kind]
        begin, end = window.bounds(now)
        return cls(ref, to_us(begin), to_us(end), to_us(end + _KEEP_COUNTER[window]))

    @property
    def is_calls(self) -> bool:
        """Whether it counts calls under way rather than amounts in a window."""
        return self.end_us == 0

    @property
    def limit(self) -> int:
        """The limit, as stores can compare it."""
        return min(max(self.ref.limit, 0), _LARGEST_LIMIT)

    def amount(self, amounts: Amounts) -> int:
        """Return what of *amounts* it counts."""
        if self.is_calls:
            return 1
        return bounded(amounts.of(WINDOWED[self.ref.kind][0]))

    def thresholds(self, percents: Sequence[int]) -> list[tuple[int, int]]:
        """Return each of *percents* with the amount from which on it is used up."""
        if not self.ref.kind.is_budget:
            return []
        return [(percent, -(-self.limit * percent // 100)) for percent in percents]

    def standing(self, used: int, held: int) -> Standing:
        """Return how far the limit is used up."""
        return Standing(self.ref, used, held, None if self.is_calls else from_us(self.end_us))

    def exceeded(self, used: int, held: int, amount: int, soonest_us: int) -> Exceeded:
        """Return the refusal of *amount*; *soonest_us* is when the first call under way ends."""
        standing = self.standing(used, held)
        if amount > self.limit:
            return Exceeded(standing, None)
        return Exceeded(standing, from_us(soonest_us) if self.is_calls else standing.end_time)


@dataclass(frozen=True, slots=True)
class OpenLease:
    """What a store keeps of a reservation until it is settled."""

    counters: tuple[Counter, ...]
    amounts: Amounts

    @classmethod
    def of(cls, reservation: Reservation, now: datetime) -> Self:
        """Return what to keep of *reservation*, made at *now*."""
        counters = tuple(Counter.of(ref, now) for ref in reservation.limits)
        return cls(counters, reservation.amounts)

    def encode(self) -> str:
        """Return it as JSON."""
        counters = [
            [c.ref.scope, c.ref.subject, c.ref.kind, c.ref.limit, c.begin_us, c.end_us, c.forget_us]
            for c in self.counters
        ]
        amounts = [self.amounts.of(measure) for measure in Measure]
        return json.dumps([counters, amounts], separators=(",", ":"))

    @classmethod
    def decode(cls, encoded: str) -> Self:
        """Return what `encode` made JSON of."""
        counters, amounts = json.loads(encoded)
        return cls(
            tuple(
                Counter(LimitRef(LimitScope(scope), subject, LimitKind(kind), limit), *times)
                for scope, subject, kind, limit, *times in counters
            ),
            Amounts(**dict(zip(map(str, Measure), amounts, strict=True))),
        )

    def charged(self, taken: Taken) -> Amounts:
        """Return what its settlement charges, unless its subject was counted before."""
        return self.amounts if taken.amounts is None else taken.amounts

    def live(self, now_us: int) -> list[Counter]:
        """Return the counters that are not forgotten at *now_us*."""
        return [c for c in self.counters if c.is_calls or c.forget_us > now_us]


def stored_row(row: UsageRow) -> UsageRow:
    """Return *row* with words and amounts that may be stored."""
    return replace(
        row,
        key_id=clipped(row.key_id),
        grant_id=clipped(row.grant_id),
        app=clipped(row.app),
        model=row.model[:_MAX_MODEL],
        member=clipped(row.member),
        requests=bounded(row.requests),
        input_tokens=bounded(row.input_tokens),
        output_tokens=bounded(row.output_tokens),
        micro_usd=bounded(row.micro_usd),
        unpriced_requests=bounded(row.unpriced_requests),
    )


def repeated(amounts: Amounts) -> Amounts:
    """Return what is charged if the subject was counted before: nothing but the request."""
    return Amounts(requests=amounts.requests)


def repeated_row(row: UsageRow) -> UsageRow:
    """Return what is added to the usage if the subject was counted before."""
    return replace(row, input_tokens=0, output_tokens=0, micro_usd=0, unpriced_requests=0)


def subject_digest(subject: str) -> str:
    """Return what is stored of a subject: of the same length for all."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
