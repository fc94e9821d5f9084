from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_address

import pytest

from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.settlement import LeaseOutcome
from keyvault_svc.domain.usage import Usage, UsageSource
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.lease_stage import REPORTED, LeaseStage, limited, settlement_of
from tests.unit.keyvault_svc.samples import BILLING, KEY, make_grant

GRANT = f"{KEY}/grants/{make_grant(1).grant_id}"


def _told(stage: LeaseStage) -> list[tuple[str, dict[str, str]]]:
    return [(event.type.value, dict(event.facts)) for event in stage.notifier.events]


async def _use(stage: LeaseStage, source_ip: str = "10.1.2.3", tokens: int = 0) -> None:
    lease = await stage.lease(source_ip=ip_address(source_ip))
    usage = Usage(tokens, 0, model="gpt-4o", source=UsageSource.REPORTED)
    await stage.accounts.settle(settlement_of(lease, usage))


async def test_the_first_use_of_a_grant_is_told_once() -> None:
    stage = LeaseStage(limited(Limits()))

    for _ in range(3):
        await _use(stage)

    assert stage.notifier.events == [
        Event(
            EventType.GRANT_FIRST_USED,
            KEY.owner,
            str(KEY),
            GRANT,
            str(BILLING),
            START,
            {"network": "10.1.2.0/24"},
        )
    ]


@pytest.mark.parametrize(
    ("first", "other", "network"),
    [
        ("10.1.2.3", "10.1.3.3", "10.1.3.0/24"),
        ("2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::/48"),
    ],
)
async def test_each_network_that_a_grant_is_used_from_is_told_once(
    first: str, other: str, network: str
) -> None:
    stage = LeaseStage(limited(Limits()))
    await _use(stage, first)
    stage.notifier.events.clear()

    for source_ip in (other, first, other):
        await _use(stage, source_ip)

    assert _told(stage) == [("grant_new_network", {"network": network})]


@pytest.mark.parametrize("neighbour", ["10.1.2.254", "10.1.2.3"])
async def test_another_address_of_the_same_network_is_no_news(neighbour: str) -> None:
    stage = LeaseStage(limited(Limits()))
    await _use(stage)
    stage.notifier.events.clear()

    await _use(stage, neighbour)

    assert stage.notifier.events == []


async def test_what_was_not_used_is_no_first_use() -> None:
    stage = LeaseStage(limited(Limits()))
    lease = await stage.lease()
    await stage.accounts.settle(settlement_of(lease, Usage(), LeaseOutcome.UNUSED, http_status=0))
    assert stage.notifier.events == []

    await _use(stage)

    assert [told[0] for told in _told(stage)] == ["grant_first_used"]


async def test_each_share_of_a_budget_is_told_once_in_its_window() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=1000)))
    await _use(stage)
    stage.notifier.events.clear()

    for tokens in (499, 1, 200, 99, 1, 100):
        await _use(stage, tokens=tokens)

    facts = {"scope": "grant", "limit": "tokens_per_day 1000"}
    until = "2026-03-02T00:00:00+00:00"
    assert _told(stage) == [
        ("budget_reached", {**facts, "percent": percent, "until": until})
        for percent in ("50", "80")
    ]


async def test_one_request_can_use_up_a_budget_and_is_told_by_the_highest_share() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=1000, usd_per_month=Decimal(1))))

    await _use(stage, tokens=5000)

    reached = [facts for kind, facts in _told(stage) if kind == "budget_reached"]
    assert [(fact["limit"], fact["percent"]) for fact in reached] == [
        ("tokens_per_day 1000", "100")
    ]


async def test_a_budget_is_told_anew_in_its_next_window() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=1000)))
    await _use(stage, tokens=500)
    stage.notifier.events.clear()
    stage.clock.advance(timedelta(days=1).total_seconds())

    await _use(stage, tokens=500)

    ((kind, facts),) = _told(stage)
    assert (kind, facts["until"]) == ("budget_reached", "2026-03-03T00:00:00+00:00")


async def test_budgets_of_key_and_grant_are_told_apart() -> None:
    limits = Limits(tokens_per_day=1000)
    stage = LeaseStage(replace(limited(limits), limits=limits))

    await _use(stage, tokens=500)

    assert [f["scope"] for kind, f in _told(stage) if kind == "budget_reached"] == ["grant", "key"]


async def test_no_rate_is_told_however_often_it_is_reached() -> None:
    stage = LeaseStage(limited(Limits(requests_per_minute=2, tokens_per_minute=1000)))

    await _use(stage, tokens=400)
    await _use(stage, tokens=500)

    assert [told[0] for told in _told(stage)] == ["grant_first_used"]


async def test_two_replicas_tell_of_a_share_once() -> None:
    stage = LeaseStage(limited(Limits(tokens_per_day=1000)))
    leases = [await stage.lease(), await stage.lease()]
    half = replace(REPORTED, input_tokens=500, output_tokens=0)

    for accounts, lease in zip((stage.replica(), stage.replica()), leases, strict=True):
        await accounts.settle(settlement_of(lease, half))

    percents = [f["percent"] for kind, f in _told(stage) if kind == "budget_reached"]
    assert percents == ["50", "100"]
    assert [told[0] for told in _told(stage)].count("grant_first_used") == 1
