from __future__ import annotations

import pytest

from keyvault_svc.domain.errors import (
    BudgetSpentError,
    RateLimitedError,
)
from keyvault_svc.domain.limits import LimitKind, Limits
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    LeaseStage,
    limited,
)
from tests.unit.keyvault_svc.samples import KEY

DAY = LimitKind.TOKENS_PER_DAY


async def test_a_rate_that_is_reached_tells_when_there_is_room() -> None:
    stage = LeaseStage(limited(Limits(requests_per_minute=1)))
    stage.clock.advance(20.25)
    await stage.lease()

    with pytest.raises(RateLimitedError) as caught:
        await stage.lease()

    assert caught.value.retry_after_seconds == 39.75
    assert caught.value.details == {
        "scope": "grant",
        "kind": "requests_per_minute",
        "limit": "1",
        "remaining": "0",
    }


async def test_calls_under_way_are_looked_for_again_in_a_second() -> None:
    stage = LeaseStage(limited(Limits(concurrent_calls=1)))
    await stage.lease()

    with pytest.raises(RateLimitedError) as caught:
        await stage.lease()

    assert caught.value.retry_after_seconds == 1
    assert caught.value.details["kind"] == "concurrent_calls"


async def test_a_call_that_is_never_settled_makes_room_when_it_must_have_ended() -> None:
    stage = LeaseStage(limited(Limits(concurrent_calls=1)))
    await stage.lease()
    stage.clock.advance(59.999)
    with pytest.raises(RateLimitedError):
        await stage.lease()
    stage.clock.advance(0.001)

    await stage.lease()


async def test_a_budget_that_is_spent_tells_when_it_is_there_again() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=300)))
    await stage.lease()

    with pytest.raises(BudgetSpentError) as caught:
        await stage.lease()

    assert caught.value.retry_after_seconds is None
    assert caught.value.details == {
        "scope": "grant",
        "kind": "tokens_per_day",
        "limit": "300",
        "remaining": "100",
        "end_time": "2026-03-02T00:00:00+00:00",
    }


async def test_what_no_minute_has_room_for_invites_no_retry() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_minute=BOUND - 1)))

    with pytest.raises(BudgetSpentError) as caught:
        await stage.lease()

    assert caught.value.retry_after_seconds is None
    assert caught.value.details["kind"] == "tokens_per_minute"


async def test_what_is_released_is_there_for_the_next_request() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=BOUND, concurrent_calls=1)))
    lease = await stage.lease()

    await stage.accounts.release(KEY.owner, lease.lease_id)

    assert await stage.counted(DAY) == (0, 0)
    await stage.lease()
    assert (await stage.rows(), stage.log.written) == ([], [])
