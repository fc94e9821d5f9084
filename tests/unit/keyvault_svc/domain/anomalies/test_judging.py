from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from keyvault_svc.domain.anomalies.baseline_store import Change, Operation
from keyvault_svc.domain.anomalies.policy import MAY_SUSPEND, AnomalyKind
from keyvault_svc.domain.anomalies.times import hour_of
from keyvault_svc.domain.controls import MAX_REASON, Subject
from keyvault_svc.domain.errors import GrantRevokedError
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.operating import BY_ANOMALIES
from keyvault_svc.domain.ports import AuditTags
from tests.unit.keyvault_svc.domain.anomalies.judging_stage import NAME, JudgingStage
from tests.unit.keyvault_svc.domain.anomalies.use_of_a_grant import suspending
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record

SPIKE = AnomalyKind.RATE_SPIKE
NEW_MODEL = AnomalyKind.NEW_MODEL
WHAT = "110 requests since 12:00 UTC; normal since 2026-03-01 is at most 10 an hour"


async def test_a_finding_is_told_to_the_owner_and_to_security() -> None:
    stage = JudgingStage()
    await stage.learn()

    stage.use(110)
    await stage.judge()

    (event,) = stage.notifier.events
    assert event.type is EventType.ANOMALY
    assert (event.owner, event.key, event.grant) == (KEY.owner, str(KEY), str(NAME))
    assert event.time == stage.clock.now()
    assert event.facts == {"what": WHAT}
    assert [(found.kind, found.what) for found in stage.log.findings] == [(SPIKE, WHAT)]
    assert stage.controls.stored.suspensions == {}


async def test_use_seen_by_several_replicas_adds_up() -> None:
    stage = JudgingStage()
    await stage.learn()

    for replica in (0, 1):
        stage.use(55, replica=replica)
        await stage.judge(replica=replica)

    assert stage.told() == [WHAT]


async def test_a_finding_is_told_once_a_day_over_all_replicas() -> None:
    stage = JudgingStage()
    await stage.learn()

    for _ in range(3):
        for replica in (0, 1):
            stage.use(110, replica=replica)
        await asyncio.gather(stage.judge(), stage.judge(replica=1))
    assert len(stage.told()) == 1
    stage.clock.advance(timedelta(days=1).total_seconds())
    stage.use(500)
    await stage.judge()

    assert [found.kind for found in stage.log.findings] == [SPIKE, SPIKE]
    assert len(stage.told()) == 2


async def test_findings_of_different_kinds_are_told_each() -> None:
    stage = JudgingStage()
    await stage.learn()

    stage.use(110)
    await stage.judge()
    stage.use(1, "o3")
    await stage.judge()

    assert [found.kind for found in stage.log.findings] == [SPIKE, NEW_MODEL]


async def test_a_new_network_is_told_to_security_alone_as_owners_hear_of_it_anyway() -> None:
    stage = JudgingStage()
    await stage.learn()

    stage.use()
    stage.watches[0].new_network(NAME, str(make_grant(1).terms.app), "192.0.2.0/24")
    await stage.judge()

    assert [found.kind for found in stage.log.findings] == [AnomalyKind.NEW_NETWORK]
    assert stage.told() == []


async def test_calls_on_a_revoked_grant_are_told_and_suspend_nothing() -> None:
    stage = JudgingStage(suspending(*MAY_SUSPEND))

    for _ in range(10):
        stage.watches[0].refused(
            make_record(make_grant(1)), make_grant(1).terms.app, GrantRevokedError()
        )
    await stage.judge()

    assert stage.told() == [
        "10 requests since 12:00 UTC though the grant is revoked; normal are none"
    ]
    assert stage.controls.stored.suspensions == {}


async def test_a_finding_suspends_the_key_if_the_policy_says_so() -> None:
    stage = JudgingStage(suspending(SPIKE))
    await stage.learn()

    stage.use(110)
    await stage.judge()

    (suspension,) = stage.controls.stored.suspensions.values()
    assert suspension.subject == Subject(KEY)
    assert suspension.creator == BY_ANOMALIES == "anomalies"
    assert suspension.reason == f"anomaly rate_spike of grant {NAME.grant_id}: {WHAT}"
    assert len(suspension.reason) < MAX_REASON
    assert stage.told() == [f"{WHAT}; the key is suspended"]
    assert stage.told(EventType.SUSPENDED) == [str(KEY)]


async def test_other_findings_suspend_nothing() -> None:
    stage = JudgingStage(suspending(NEW_MODEL))
    await stage.learn()

    stage.use(110)
    await stage.judge()

    assert stage.told() == [WHAT]
    assert stage.controls.stored.suspensions == {}


async def test_replicas_that_find_the_same_suspend_once() -> None:
    stage = JudgingStage(suspending(SPIKE))
    await stage.learn()
    for replica in (0, 1):
        stage.use(110, replica=replica)

    await asyncio.gather(stage.judge(), stage.judge(replica=1))

    assert len(stage.controls.stored.suspensions) == 1
    assert len(stage.told(EventType.SUSPENDED)) == 1
    assert stage.log.failures == []


async def test_what_an_operator_resumes_is_not_suspended_again_that_day() -> None:
    stage = JudgingStage(suspending(SPIKE))
    await stage.learn()
    stage.use(110)
    await stage.judge()

    stage.controls.stored = stage.controls.stored.without_suspension(Subject(KEY))
    for replica in (0, 1):
        stage.use(110, replica=replica)
        await stage.judge(replica=replica)
    assert stage.controls.stored.suspensions == {}
    stage.clock.advance(timedelta(days=1).total_seconds())
    stage.use(1000)
    await stage.judge()

    assert set(stage.controls.stored.suspensions) == {Subject(KEY)}


async def test_a_key_that_cannot_be_suspended_now_is_suspended_by_the_next_run() -> None:
    stage = JudgingStage(suspending(NEW_MODEL))
    await stage.learn()
    stage.use(1, "o3")
    stage.line.break_at(1)

    await stage.judge()
    assert stage.log.failures == [(KEY, "VAULT_UNAVAILABLE")]
    assert len(stage.told()) == 1
    stage.line.mend()
    await stage.judge()

    assert set(stage.controls.stored.suspensions) == {Subject(KEY)}
    stage.controls.stored = stage.controls.stored.without_suspension(Subject(KEY))
    stage.use(1, "o4")
    await stage.judge()
    assert stage.controls.stored.suspensions == {}


async def test_while_vault_is_away_one_of_the_keys_that_wait_is_tried_in_a_run() -> None:
    stage = JudgingStage(suspending(AnomalyKind.DORMANT_WOKEN))
    keys = [KeyName(KEY.owner, f"key-{number}") for number in range(3)]
    long_ago = Change(Operation.RAISE, "last:use", hour_of(stage.clock.now()) - 100 * 24)
    for number, key in enumerate(keys):
        grant = GrantName(key, f"{number:016x}")
        await stage.baselines.change(key.owner, grant.grant_id, [long_ago], stage.clock.now())
        stage.use(grant=grant)
    stage.line.break_at(1)

    await stage.judge()
    for _ in keys:
        await stage.judge()
    stage.line.mend()
    await stage.judge()

    assert [key for key, _ in stage.log.failures] == keys * 2
    assert set(stage.controls.stored.suspensions) == set(map(Subject, keys))


async def test_a_fault_at_one_grant_leaves_the_others_their_judgement() -> None:
    stage = JudgingStage()
    await stage.learn()
    faulty = GrantName(KEY, "f" * 16)
    unreadable = Change(Operation.RAISE, "now:noon:requests", 1)
    await stage.baselines.change(KEY.owner, faulty.grant_id, [unreadable], stage.clock.now())
    stage.use(grant=faulty)
    stage.use(110)

    with pytest.raises(ValueError, match="noon"):
        await stage.judge()

    assert (stage.told(), stage.log.lost) == ([WHAT], 1)


async def test_a_model_with_a_hostile_name_suspends_the_key_all_the_same() -> None:
    stage = JudgingStage(suspending(NEW_MODEL))
    await stage.learn()

    stage.use(1, "\n\u202e")
    await stage.judge()

    assert set(stage.controls.stored.suspensions) == {Subject(KEY)}


async def test_while_the_store_is_away_observations_are_dropped_and_counted() -> None:
    stage = JudgingStage()
    await stage.learn()
    stage.baselines.answers_left = 0

    stage.use(110)
    await stage.judge()
    assert (stage.log.lost, stage.told()) == (110, [])
    stage.baselines.answers_left = None
    stage.use(99)
    await stage.judge()

    assert (stage.log.lost, stage.told()) == (110, [])


async def test_a_finding_that_cannot_be_claimed_is_told_all_the_same() -> None:
    stage = JudgingStage()
    await stage.learn()
    stage.baselines.answers_left = 2

    stage.use(110)
    await stage.judge()

    assert stage.told() == [WHAT]


async def test_no_baseline_is_begun_for_a_key_that_is_gone() -> None:
    stage = JudgingStage()
    stage.use(5)
    await stage.keys.delete(KEY, AuditTags("request-1", str(KEY)))

    await stage.judge()

    assert await stage.baselines.read(KEY.owner, NAME.grant_id) == {}
    assert stage.log.lost == 0


async def test_a_baseline_that_cannot_be_begun_for_want_of_vault_is_counted_as_dropped() -> None:
    stage = JudgingStage()
    stage.use(5)
    stage.line.break_at(1)

    await stage.judge()

    assert stage.log.lost == 5


async def test_a_run_without_observations_asks_nobody() -> None:
    stage = JudgingStage()
    stage.baselines.answers_left = 0

    await stage.judge()

    assert stage.log.lost == 0
    assert stage.line.requests == []
