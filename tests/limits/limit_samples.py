"""Reservations and settlements for tests of stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from keyvault_svc.domain.limit_store import Held, LimitStore, Reservation, Settled, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts, LimitKind, LimitRef, LimitScope, Standing
from keyvault_svc.domain.names import OwnerName

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
GRANT = "0123456789abcdef"


def limit(
    kind: LimitKind,
    most: int,
    scope: LimitScope = LimitScope.GRANT,
    subject: str = GRANT,
) -> LimitRef:
    return LimitRef(scope, subject, kind, most)


def reservation(
    owner: OwnerName,
    lease_id: str,
    *limits: LimitRef,
    tokens: int = 0,
    micro_usd: int = 0,
    end_time: datetime = NOW + 10 * MINUTE,
    note: str = "",
) -> Reservation:
    amounts = Amounts(tokens=tokens, micro_usd=micro_usd)
    return Reservation(lease_id, owner, limits, amounts, end_time, note)


def taken(owner: OwnerName, lease_id: str, *, tokens: int = 0, micro_usd: int = 0) -> Taken:
    return Taken(lease_id, owner, Amounts(tokens=tokens, micro_usd=micro_usd))


def row(model: str = "gpt-4o", *, requests: int = 1, day_offset: int = 0) -> UsageRow:
    day = NOW.date() + timedelta(days=day_offset)
    return UsageRow(day, "openai", GRANT, "spiffe://t/app", model, "alice", requests, 10, 20, 30, 0)


def times(usage: UsageRow, factor: int) -> UsageRow:
    return replace(
        usage,
        requests=usage.requests * factor,
        input_tokens=usage.input_tokens * factor,
        output_tokens=usage.output_tokens * factor,
        micro_usd=usage.micro_usd * factor,
        unpriced_requests=usage.unpriced_requests * factor,
    )


def figures(standings: tuple[Standing, ...]) -> list[tuple[int, int]]:
    return [(standing.used, standing.held) for standing in standings]


def held(result: object) -> tuple[Standing, ...]:
    assert isinstance(result, Held)
    return result.standings


def settled(result: Settled | None) -> Settled:
    assert result is not None
    return result


async def take(
    store: LimitStore, request: Taken, *limits: LimitRef, now: datetime = NOW
) -> Settled:
    """Reserve what *request* takes, and settle it."""
    end_time = now + MINUTE
    amounts = request.amounts or Amounts()
    await store.reserve(
        reservation(
            request.owner,
            request.lease_id,
            *limits,
            tokens=amounts.tokens,
            micro_usd=amounts.micro_usd,
            end_time=end_time,
        ),
        now,
    )
    return settled(await store.settle(request, now))
