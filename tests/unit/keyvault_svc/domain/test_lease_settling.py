from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from keyvault_svc.domain import lease_settling
from keyvault_svc.domain.errors import KeyRecordUnreadableError, LimitStoreUnavailableError
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.limits import LimitKind, Limits
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.loop_faults import faults_of_loop
from tests.unit.keyvault_svc.custody_stage import REQUEST, TEAM_KEY
from tests.unit.keyvault_svc.lease_stage import (
    BOUND,
    TOKENS,
    LeaseStage,
    limited,
    new_lease_id,
    settlement_of,
)
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record

DAY = LimitKind.TOKENS_PER_DAY
REJECTED = LeaseOutcome.KEY_REJECTED


async def _leave(stage: LeaseStage, settlements: list[LeaseSettlement]) -> asyncio.Event:
    """Settle and go away when the store has settled one; return what lets the store answer."""
    has_settled, is_let_answer = asyncio.Event(), asyncio.Event()

    async def hold_answer() -> None:
        has_settled.set()
        await is_let_answer.wait()

    stage.limits.after["settle"] = hold_answer
    asking = asyncio.create_task(stage.settling.settle(settlements, REQUEST))
    await has_settled.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    return is_let_answer


def _of_nobody(outcome: LeaseOutcome, *, team: bool = False) -> LeaseSettlement:
    """Return a settlement of a lease that nobody remembers."""
    key = TEAM_KEY if team else KEY
    grant = GrantName(key, make_grant(1).grant_id)
    lease = Lease(new_lease_id(), key, 1, grant.grant_id, make_grant(1).create_time, "")
    return settlement_of(lease, outcome=outcome)


async def test_each_settlement_counts_once() -> None:
    stage = LeaseStage(limited(TOKENS))
    settlements = [settlement_of(await stage.lease()) for _ in range(3)]

    assert await stage.settling.settle(settlements, REQUEST) == 3
    assert await stage.settling.settle(settlements, REQUEST) == 0

    assert await stage.counted(DAY) == (300, 0)
    assert len(stage.log.written) == 3


async def test_a_batch_that_names_a_lease_twice_counts_it_once() -> None:
    stage = LeaseStage(limited(TOKENS))
    settlement = settlement_of(await stage.lease())

    assert await stage.settling.settle([settlement] * 3, REQUEST) == 1

    assert await stage.counted(DAY) == (100, 0)
    assert len(stage.log.written) == 1


async def test_settling_nothing_counts_nothing() -> None:
    assert await LeaseStage().settling.settle([], REQUEST) == 0


async def test_of_a_batch_of_which_some_fail_the_others_count_once() -> None:
    stage = LeaseStage(limited(TOKENS))
    settlements = [settlement_of(await stage.lease()) for _ in range(4)]
    stage.limits.stuck = {settlement.lease_id for settlement in settlements[:2]}
    with pytest.raises(LimitStoreUnavailableError):
        await stage.settling.settle(settlements, REQUEST)
    assert [s.lease_id for s in stage.log.written] == [s.lease_id for s in settlements[2:]]
    assert await stage.counted(DAY) == (2 * 100, 2 * BOUND)
    stage.limits.mend()

    assert await stage.settling.settle(settlements, REQUEST) == 2

    assert await stage.counted(DAY) == (4 * 100, 0)
    logged = [written.lease_id for written in stage.log.written]
    assert sorted(logged) == sorted(settlement.lease_id for settlement in settlements)


async def test_keys_that_openai_refused_are_tried_once_each() -> None:
    stage = LeaseStage(make_record())
    refused = [_of_nobody(REJECTED) for _ in range(3)]
    others = [_of_nobody(outcome, team=True) for outcome in sorted(set(LeaseOutcome) - {REJECTED})]

    assert await stage.settling.settle([*refused, *others], REQUEST) == 8

    assert stage.line.requests == ["write verification"]
    assert set(stage.verifications.entries) == {KEY}
    assert stage.queued().is_recheck
    assert stage.stored().state is KeyState.ACTIVE


async def test_a_repeated_settlement_has_no_key_tried_again() -> None:
    stage = LeaseStage(limited(Limits()))
    refused = settlement_of(await stage.lease(), outcome=REJECTED, http_status=401)
    await stage.settling.settle([refused], REQUEST)
    stage.verifications.entries.clear()

    await stage.settling.settle([refused], REQUEST)

    assert stage.verifications.entries == {}


async def test_a_settlement_of_another_app_has_no_key_tried() -> None:
    stage = LeaseStage(limited(Limits()))
    refused = settlement_of(await stage.lease(), outcome=REJECTED, http_status=401)

    await stage.settling.settle([replace(refused, app="spiffe://example.org/app/x")], REQUEST)

    assert stage.verifications.entries == {}


async def test_keys_of_the_settlements_that_count_are_tried_though_others_fail() -> None:
    stage = LeaseStage(limited(Limits()))
    refused = settlement_of(await stage.lease(), outcome=REJECTED, http_status=401)
    other = settlement_of(await stage.lease())

    stage.limits.stuck = {other.lease_id}
    with pytest.raises(LimitStoreUnavailableError):
        await stage.settling.settle([refused, other], REQUEST)

    assert [written.lease_id for written in stage.log.written] == [refused.lease_id]
    assert set(stage.verifications.entries) == {KEY}


@pytest.mark.parametrize("failure", [VaultUnavailableError, KeyRecordUnreadableError])
async def test_settlements_count_even_if_no_key_can_be_queued(
    failure: type[ServiceError],
) -> None:
    stage = LeaseStage(limited(Limits()))
    refused = settlement_of(await stage.lease(), outcome=REJECTED, http_status=401)

    def fail() -> None:
        raise failure

    stage.line.before("write verification", fail)
    assert await stage.settling.settle([refused], REQUEST) == 1


async def test_a_settlement_whose_gateway_has_gone_is_logged_and_counts_once() -> None:
    stage = LeaseStage(limited(TOKENS))
    settlements = [settlement_of(await stage.lease()) for _ in range(3)]

    is_let_answer = await _leave(stage, settlements)
    is_let_answer.set()
    await stage.settling.close()
    assert await stage.settling.settle(settlements, REQUEST) == 0

    logged = sorted(written.lease_id for written in stage.log.written)
    assert logged == sorted(settlement.lease_id for settlement in settlements)
    assert await stage.counted(DAY) == (3 * 100, 0)


async def test_a_failure_that_no_gateway_waits_for_is_told_nobody() -> None:
    stage = LeaseStage(limited(TOKENS))
    settlements = [settlement_of(await stage.lease()) for _ in range(2)]
    stage.limits.stuck = {settlements[1].lease_id}

    with faults_of_loop() as faults:
        is_let_answer = await _leave(stage, settlements)
        is_let_answer.set()
        await stage.settling.close()

    assert [written.lease_id for written in stage.log.written] == [settlements[0].lease_id]
    assert faults == []


async def test_a_store_that_does_not_answer_at_the_end_does_not_hold_the_stop_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease_settling, "_CLOSE_SECONDS", 0.0)
    stage = LeaseStage(limited(TOKENS))
    settlement = settlement_of(await stage.lease())

    await _leave(stage, [settlement])
    await stage.settling.close()

    assert stage.log.written == []
    assert len(asyncio.all_tasks()) == 1
