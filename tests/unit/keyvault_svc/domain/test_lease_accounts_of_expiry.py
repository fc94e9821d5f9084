from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limits import LimitKind, Limits
from keyvault_svc.domain.settlement import LeaseOutcome
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    LeaseStage,
    limited,
    outcomes,
    settlement_of,
)

DAY = LimitKind.TOKENS_PER_DAY
WIDE = Limits(concurrent_calls=9, tokens_per_day=1000, usd_per_month=Decimal(1))
WITHIN = 60
UNSETTLED = LeaseOutcome.UNSETTLED


async def test_a_lease_that_nobody_settles_is_logged_once_at_what_it_was_given_for() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    stage.clock.advance(WITHIN - 0.001)
    await stage.accounts.expire()
    assert stage.log.written == []
    stage.clock.advance(0.001)

    await stage.accounts.expire()
    await stage.accounts.expire()

    bound = Usage(100, 100, model="gpt-4o", source=UsageSource.RESERVED)
    assert stage.log.written == [settlement_of(lease, bound, UNSETTLED, http_status=0)]


async def test_what_an_unsettled_lease_reserved_stays_charged_and_holds_no_call() -> None:
    stage = LeaseStage(limited(WIDE))
    await stage.lease()
    stage.clock.advance(WITHIN)

    await stage.accounts.expire()

    assert await stage.counted(DAY) == (0, BOUND)
    assert await stage.counted(LimitKind.CONCURRENT_CALLS) == (0, 0)
    assert await stage.rows() == []


async def test_a_settled_lease_does_not_expire() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    await stage.accounts.settle(settlement_of(lease))
    stage.clock.advance(WITHIN)

    await stage.accounts.expire()

    assert outcomes(stage.log.written) == [(lease.lease_id, LeaseOutcome.SERVED)]


async def test_a_lease_that_another_replica_settled_does_not_expire() -> None:
    stage = LeaseStage(limited(WIDE))
    settled, unsettled = await stage.lease(), await stage.lease()
    await stage.replica().settle(settlement_of(settled))
    stage.clock.advance(WITHIN)

    await stage.accounts.expire()

    assert outcomes(stage.log.written) == [
        (settled.lease_id, LeaseOutcome.SERVED),
        (unsettled.lease_id, UNSETTLED),
    ]


async def test_a_settlement_that_comes_while_its_lease_expires_is_the_only_one_logged() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    stage.clock.advance(WITHIN)
    stage.limits.after["find"] = lambda: stage.accounts.settle(settlement_of(lease))

    await stage.accounts.expire()

    assert outcomes(stage.log.written) == [(lease.lease_id, LeaseOutcome.SERVED)]


@pytest.mark.parametrize("limits", [WIDE, Limits()], ids=["limits", "no limits"])
async def test_what_is_settled_late_counts_nevertheless(limits: Limits) -> None:
    stage = LeaseStage(limited(limits))
    lease = await stage.lease()
    stage.clock.advance(WITHIN)
    await stage.accounts.expire()

    assert await stage.accounts.settle(settlement_of(lease)) is not None

    assert await stage.counted(DAY) == (100 if limits == WIDE else 0, 0)
    assert len(await stage.rows()) == 1
    assert outcomes(stage.log.written) == [
        (lease.lease_id, UNSETTLED),
        (lease.lease_id, LeaseOutcome.SERVED),
    ]


async def test_what_is_settled_more_than_an_hour_late_stays_as_it_was_reserved() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    stage.clock.advance(WITHIN)
    await stage.accounts.expire()
    stage.clock.advance(3600)

    assert await stage.accounts.settle(settlement_of(lease)) is None

    assert await stage.counted(DAY) == (0, BOUND)
    assert outcomes(stage.log.written) == [(lease.lease_id, UNSETTLED)]


async def test_while_the_store_is_away_nothing_expires_and_nothing_is_lost() -> None:
    stage = LeaseStage(limited(WIDE))
    first, second = await stage.lease(), await stage.lease()
    stage.clock.advance(WITHIN)
    stage.limits.away = {"find"}
    with pytest.raises(LimitStoreUnavailableError):
        await stage.accounts.expire()
    assert stage.log.written == []
    stage.limits.mend()

    await stage.accounts.expire()

    assert outcomes(stage.log.written) == [
        (first.lease_id, UNSETTLED),
        (second.lease_id, UNSETTLED),
    ]


async def test_a_lease_that_was_given_while_the_store_was_away_expires_too() -> None:
    stage = LeaseStage(limited(Limits()))
    stage.limits.break_all()
    lease = await stage.lease()
    stage.limits.mend()
    stage.clock.advance(WITHIN)

    await stage.accounts.expire()
    late = await stage.accounts.settle(replace(settlement_of(lease)))

    assert late is None
    assert outcomes(stage.log.written) == [(lease.lease_id, UNSETTLED)]
