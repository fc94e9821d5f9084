from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from keyvault_svc.domain.errors import (
    BudgetSpentError,
)
from keyvault_svc.domain.limit_store import UsageRow
from keyvault_svc.domain.limits import LimitKind, Limits
from keyvault_svc.domain.prices import PriceList
from keyvault_svc.domain.settlement import LeaseOutcome
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    PRICES,
    REPORTED,
    LeaseStage,
    limited,
    settlement_of,
)
from tests.unit.keyvault_svc.samples import BILLING, KEY, make_grant

DAY = LimitKind.TOKENS_PER_DAY
MONTH = LimitKind.USD_PER_MONTH
WIDE = Limits(
    concurrent_calls=1, requests_per_minute=9, tokens_per_day=1000, usd_per_month=Decimal(1)
)
BOUND_MICRO_USD = 1250
REPORTED_MICRO_USD = 550
SEEN = Usage(output_tokens=9, model="gpt-4o", source=UsageSource.SEEN)
NONE = Usage()

S, K, F, C, U = (
    LeaseOutcome.SERVED,
    LeaseOutcome.KEY_REJECTED,
    LeaseOutcome.UPSTREAM_FAILED,
    LeaseOutcome.CANCELLED,
    LeaseOutcome.UNUSED,
)
# Outcome, OpenAI's status, what the gateway reports: requests, tokens and USD that limits are
# charged; the row's tokens and USD; whether its cost is known. No row of what was not used.
RESERVED = (1, BOUND, BOUND_MICRO_USD)
SETTLEMENTS = [
    (S, 200, REPORTED, (1, 100, REPORTED_MICRO_USD), (60, 40, REPORTED_MICRO_USD, 0)),
    (S, 200, SEEN, (1, 9, 90), (0, 9, 90, 0)),
    (S, 200, NONE, RESERVED, (0, 0, 0, 1)),
    (S, 400, NONE, (1, 0, 0), (0, 0, 0, 0)),
    (S, 500, REPORTED, (1, 100, REPORTED_MICRO_USD), (60, 40, REPORTED_MICRO_USD, 0)),
    (K, 401, NONE, (1, 0, 0), (0, 0, 0, 0)),
    (K, 401, REPORTED, (1, 100, REPORTED_MICRO_USD), (60, 40, REPORTED_MICRO_USD, 0)),
    (F, 0, NONE, (1, 0, 0), (0, 0, 0, 0)),
    (F, 200, NONE, RESERVED, (100, 100, BOUND_MICRO_USD, 0)),
    (F, 200, SEEN, (1, 9, 90), (0, 9, 90, 0)),
    (C, 0, NONE, RESERVED, (100, 100, BOUND_MICRO_USD, 0)),
    (C, 200, NONE, RESERVED, (100, 100, BOUND_MICRO_USD, 0)),
    (C, 200, SEEN, (1, 9, 90), (0, 9, 90, 0)),
    (C, 200, REPORTED, (1, 100, REPORTED_MICRO_USD), (60, 40, REPORTED_MICRO_USD, 0)),
    (U, 0, NONE, (0, 0, 0), None),
    (U, 0, REPORTED, (0, 0, 0), None),
]


@pytest.mark.parametrize(
    ("outcome", "http_status", "usage", "charged", "told"),
    SETTLEMENTS,
    ids=[f"{s[0]} {s[1]} {s[2].source}" for s in SETTLEMENTS],
)
async def test_a_settlement_puts_what_was_taken_in_place_of_what_was_reserved(
    outcome: LeaseOutcome,
    http_status: int,
    usage: Usage,
    charged: tuple[int, int, int],
    told: tuple[int, int, int, int] | None,
) -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    settlement = settlement_of(lease, usage, outcome, http_status=http_status)

    settled = await stage.accounts.settle(settlement)

    assert settled is not None
    kinds = (LimitKind.REQUESTS_PER_MINUTE, DAY, MONTH)
    assert [await stage.counted(kind) for kind in kinds] == [(amount, 0) for amount in charged]
    assert await stage.counted(LimitKind.CONCURRENT_CALLS) == (0, 0)
    assert await stage.rows() == ([] if told is None else [_row(*told)])
    assert stage.log.written == [settled]


def _row(
    input_tokens: int,
    output_tokens: int,
    micro_usd: int,
    unpriced: int,
    *,
    model: str = "gpt-4o",
    member: str = "",
) -> UsageRow:
    return UsageRow(
        START.date(),
        KEY.key_id,
        make_grant(1).grant_id,
        str(BILLING),
        model,
        member,
        1,
        input_tokens,
        output_tokens,
        micro_usd,
        unpriced,
    )


def test_the_table_above_has_every_outcome_that_gateways_report() -> None:
    assert {s[0] for s in SETTLEMENTS} == set(LeaseOutcome) - {LeaseOutcome.UNSETTLED}


async def test_a_lease_without_limits_is_settled_and_its_usage_kept() -> None:
    stage = LeaseStage(limited(Limits()))
    lease = await stage.lease(input_token_bound=0, output_token_bound=0)

    await stage.accounts.settle(settlement_of(lease))

    assert await stage.rows() == [_row(60, 40, REPORTED_MICRO_USD, 0)]


async def test_a_request_whose_model_openai_does_not_name_ran_the_one_that_it_named() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()

    await stage.accounts.settle(settlement_of(lease, replace(REPORTED, model="")))

    assert await stage.rows() == [_row(60, 40, REPORTED_MICRO_USD, 0)]


async def test_what_was_taken_counts_in_full_though_more_than_was_reserved() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()

    await stage.accounts.settle(
        settlement_of(lease, Usage(900, 500, model="gpt-4o", source=UsageSource.REPORTED))
    )

    assert await stage.counted(DAY) == (1400, 0)
    assert (await stage.standing(DAY)).remaining == 0
    with pytest.raises(BudgetSpentError):
        await stage.lease()


async def test_tokens_count_as_reported_though_nobody_priced_their_model() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=1000)))
    lease = await stage.lease(model="unheard-of")

    await stage.accounts.settle(settlement_of(lease, replace(REPORTED, model="unheard-of")))

    assert await stage.counted(DAY) == (100, 0)
    assert await stage.rows() == [_row(60, 40, 0, 1, model="unheard-of")]


# Prices that change between reservation and settlement


async def test_what_was_taken_costs_what_the_list_says_at_the_settlement() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    dearer = replace(PRICES.models["gpt-4o"], input=Decimal(5), output=Decimal(20))
    later = stage.replica(replace(PRICES, models={"gpt-4o": dearer}))

    await later.settle(settlement_of(lease))

    assert await stage.counted(MONTH) == (2 * REPORTED_MICRO_USD, 0)


async def test_a_model_that_the_list_lost_costs_what_was_reserved() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = await stage.lease()
    later = stage.replica(PriceList(PRICES.as_of, {}))

    await later.settle(settlement_of(lease))

    assert await stage.counted(MONTH) == (BOUND_MICRO_USD, 0)
    assert await stage.counted(DAY) == (100, 0)
    assert await stage.rows() == [_row(60, 40, 0, 1)]


# Time


async def test_what_is_settled_after_a_month_ended_counts_in_the_month_of_its_reservation() -> None:
    stage = LeaseStage(limited(WIDE))
    last_second = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    stage.clock.advance((last_second - START).total_seconds())
    lease = await stage.lease()
    march = await stage.standing(MONTH)
    stage.clock.advance(1)

    await stage.accounts.settle(settlement_of(lease))

    assert march.end_time == stage.clock.now()
    assert await stage.counted(MONTH) == (0, 0)
    stage.clock.advance(-1)
    assert await stage.counted(MONTH) == (REPORTED_MICRO_USD, 0)


async def test_the_usage_of_a_months_last_second_is_of_the_day_of_its_settlement() -> None:
    stage = LeaseStage(limited(WIDE))
    last_second = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    stage.clock.advance((last_second - START).total_seconds())
    first = await stage.lease()
    await stage.accounts.settle(settlement_of(first))
    second = await stage.lease()
    stage.clock.advance(1)

    await stage.accounts.settle(settlement_of(second))

    assert [(row.day.isoformat(), row.requests) for row in await stage.rows()] == [
        ("2026-03-31", 1),
        ("2026-04-01", 1),
    ]
