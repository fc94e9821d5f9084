from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.errors import (
    LimitStoreUnavailableError,
)
from keyvault_svc.domain.limits import LimitKind, Limits
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    REPORTED,
    LeaseStage,
    limited,
    new_lease_id,
    settlement_of,
)
from tests.unit.keyvault_svc.samples import KEY, SEARCH, make_grant

DAY = LimitKind.TOKENS_PER_DAY
WIDE = Limits(
    concurrent_calls=1, requests_per_minute=9, tokens_per_day=1000, usd_per_month=Decimal(1)
)
SEEN = Usage(output_tokens=9, model="gpt-4o", source=UsageSource.SEEN)
NONE = Usage()
OTHER_KEY = KeyName(KEY.owner, "another")
OTHER_OWNERS_KEY = KeyName(OwnerName.parse("users/bob", "name"), KEY.key_id)


def _of_another(settlement: LeaseSettlement) -> list[LeaseSettlement]:
    """Return settlements of the same lease for something that it was not given for."""
    grant_id = settlement.grant_name.grant_id
    return [
        replace(settlement, grant_name=GrantName(KEY, make_grant(2).grant_id)),
        replace(settlement, grant_name=GrantName(OTHER_KEY, grant_id)),
        replace(settlement, grant_name=GrantName(OTHER_OWNERS_KEY, grant_id)),
        replace(settlement, app=str(SEARCH)),
    ]


@pytest.mark.parametrize("number", range(4), ids=["grant", "key", "owner", "app"])
async def test_a_settlement_that_names_another_does_not_count(number: int) -> None:
    stage = LeaseStage(limited(WIDE))
    settlement = settlement_of(await stage.lease())

    assert await stage.accounts.settle(_of_another(settlement)[number]) is None

    assert await stage.counted(DAY) == (0, BOUND)
    assert (stage.log.written, await stage.rows(), stage.notifier.events) == ([], [], [])
    assert await stage.accounts.settle(settlement) is not None
    assert await stage.counted(DAY) == (100, 0)


async def test_a_repeated_settlement_does_not_count_at_any_replica() -> None:
    stage = LeaseStage(limited(WIDE))
    settlement = settlement_of(await stage.lease())
    await stage.accounts.settle(settlement)
    told = list(stage.notifier.events)

    for accounts in (stage.accounts, stage.replica()):
        assert (
            await accounts.settle(replace(settlement, outcome=LeaseOutcome.CANCELLED, usage=SEEN))
            is None
        )

    assert await stage.counted(DAY) == (100, 0)
    assert [written.lease_id for written in stage.log.written] == [settlement.lease_id]
    assert (len(await stage.rows()), stage.notifier.events) == (1, told)


async def test_an_answer_of_openais_that_two_requests_report_takes_its_tokens_once() -> None:
    stage = LeaseStage(limited(replace(WIDE, concurrent_calls=2)))
    usage = replace(REPORTED, subject="resp_1")
    for lease in (await stage.lease(), await stage.lease()):
        await stage.accounts.settle(settlement_of(lease, usage))

    assert await stage.counted(DAY) == (100, 0)
    (row,) = await stage.rows()
    assert (row.requests, row.input_tokens, row.output_tokens) == (2, 60, 40)


# While the store is away


async def test_while_the_store_is_away_nothing_is_settled_and_a_repetition_counts() -> None:
    stage = LeaseStage(limited(WIDE))
    settlement = settlement_of(await stage.lease())
    for operation in ("find", "settle"):
        stage.limits.away = {operation}
        with pytest.raises(LimitStoreUnavailableError):
            await stage.accounts.settle(settlement)
    assert stage.log.written == []
    stage.limits.mend()

    assert await stage.accounts.settle(settlement) is not None

    assert await stage.counted(DAY) == (100, 0)
    assert len(stage.log.written) == 1


async def test_a_settlement_of_which_the_answer_is_lost_counts_once() -> None:
    stage = LeaseStage(limited(WIDE))
    settlement = settlement_of(await stage.lease())
    stage.limits.lost = {"settle"}
    with pytest.raises(LimitStoreUnavailableError):
        await stage.accounts.settle(settlement)
    stage.limits.mend()

    assert await stage.accounts.settle(settlement) is None

    assert await stage.counted(DAY) == (100, 0)


async def test_a_lease_that_was_given_while_the_store_was_away_is_logged_as_it_ended() -> None:
    stage = LeaseStage(limited(Limits()))
    stage.limits.break_all()
    lease = await stage.lease()
    stage.limits.mend()
    settlement = settlement_of(lease, NONE, LeaseOutcome.CANCELLED)

    settled = await stage.accounts.settle(settlement)

    assert settled is not None
    assert settled.usage == Usage(100, 100, model="gpt-4o", source=UsageSource.RESERVED)
    assert stage.log.written == [settled]
    assert await stage.accounts.settle(settlement) is None
    assert (len(stage.log.written), await stage.rows()) == (1, [])


@pytest.mark.parametrize("number", range(4), ids=["grant", "key", "owner", "app"])
async def test_a_lease_of_that_time_is_settled_for_what_it_was_given_for_only(number: int) -> None:
    stage = LeaseStage(limited(Limits()))
    stage.limits.break_all()
    lease = await stage.lease()
    stage.limits.mend()
    settlement = settlement_of(lease)

    assert await stage.accounts.settle(_of_another(settlement)[number]) is None
    assert await stage.accounts.settle(settlement) == settlement


async def test_a_lease_that_nobody_remembers_is_logged_once() -> None:
    stage = LeaseStage(limited(WIDE))
    lease = replace(await stage.lease(), lease_id=new_lease_id())

    assert await stage.accounts.settle(settlement_of(lease)) == settlement_of(lease)
    assert await stage.accounts.settle(settlement_of(lease)) is None

    assert (len(stage.log.written), await stage.rows()) == (1, [])
