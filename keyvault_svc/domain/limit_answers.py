"""What a store's answers mean to who asked for a lease."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from keyvault_svc.domain.errors import BudgetSpentError, RateLimitedError
from keyvault_svc.domain.lease import Remaining
from keyvault_svc.domain.limit_store import Exceeded
from keyvault_svc.domain.limits import WINDOWED, Measure, Standing


def refusal_of(exceeded: Exceeded, now: datetime) -> RateLimitedError | BudgetSpentError:
    """Return the error that tells of *exceeded*.

    What never fits is told as a budget, whatever the limit: no retry helps.
    """
    standing = exceeded.standing
    details = {
        "scope": standing.limit.scope.value,
        "kind": standing.limit.kind.value,
        "limit": str(standing.limit.limit),
        "remaining": str(standing.remaining),
    }
    if standing.limit.kind.is_budget or exceeded.retry_time is None:
        if standing.end_time is not None:
            details["end_time"] = standing.end_time.isoformat()
        return BudgetSpentError(details)
    # Calls under way end when they end: their bound is no time to wait for.
    seconds = 1.0
    if standing.end_time is not None:
        seconds = max((exceeded.retry_time - now).total_seconds(), 0.0)
    return RateLimitedError(details, math.ceil(seconds * 1000) / 1000)


def remaining_of(standings: Sequence[Standing]) -> Remaining:
    """Return what is left of the tightest limit of each sort."""

    def least(measure: Measure) -> int | None:
        return min(
            (
                standing.remaining
                for standing in standings
                if standing.limit.kind in WINDOWED and WINDOWED[standing.limit.kind][0] is measure
            ),
            default=None,
        )

    return Remaining(least(Measure.REQUESTS), least(Measure.TOKENS), least(Measure.MICRO_USD))
