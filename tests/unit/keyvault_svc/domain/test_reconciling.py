from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.reconciliation import Counted, Verdict
from keyvault_svc.domain.reconciling import ReconciledKey, ReconcilingPolicy, ReportedUsage
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import GATEWAY, REQUEST, TEAM_KEY
from tests.unit.keyvault_svc.reconciling_stage import ADMIN_KEY, ReconcilingStage
from tests.unit.keyvault_svc.samples import KEY, make_record

TODAY = START.date()
YESTERDAY = TODAY - timedelta(days=1)
ID = "key_alice0123"
OTHER_ID = "key_other0123"
ALICES_OTHER = KeyName.parse("users/alice/keys/other", "name")


def _identified(name: KeyName = KEY, openai_key_id: str = ID) -> KeyRecord:
    return make_record(name=name, fingerprint=str(name)).identified(openai_key_id)


def _reported(counted: Counted, *keys: KeyName, openai_key_id: str = ID) -> ReportedUsage:
    return ReportedUsage(openai_key_id, keys or (KEY,), counted)


async def test_keys_are_listed_with_what_went_through_keyturn() -> None:
    stage = ReconcilingStage(_identified())
    await stage.use(KEY, requests=2, input_tokens=20, output_tokens=4)

    page = await stage.reconciling.list_keys(GATEWAY, YESTERDAY, "", REQUEST)

    assert page.day == YESTERDAY
    assert page.keys == (ReconciledKey(KEY, ID, Counted(2, 20, 4)),)
    assert (page.uncovered, page.last_entry) == ((), "")


async def test_usage_of_other_keys_and_days_is_not_counted() -> None:
    stage = ReconcilingStage(_identified(), _identified(ALICES_OTHER, OTHER_ID))
    await stage.use(ALICES_OTHER, requests=1)
    await stage.use(KEY, requests=1, day=TODAY)

    page = await stage.reconciling.list_keys(GATEWAY, YESTERDAY, "", REQUEST)

    assert {key.key: key.keyturn.requests for key in page.keys} == {KEY: 0, ALICES_OTHER: 1}


async def test_keys_without_an_id_at_openai_are_told_as_uncovered() -> None:
    without = make_record(name=ALICES_OTHER, fingerprint="other")
    stage = ReconcilingStage(_identified(), without)

    page = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert page.uncovered == (ALICES_OTHER,)


async def test_a_key_that_was_deleted_is_not_told_as_uncovered() -> None:
    deleted = make_record(name=ALICES_OTHER, fingerprint="other").deleted(START)
    stage = ReconcilingStage(_identified(), deleted)

    page = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert page.uncovered == ()


async def test_the_admin_key_is_not_told_as_uncovered() -> None:
    beside = KeyName(ADMIN_KEY.owner, "openai")
    stage = ReconcilingStage(_identified(beside))

    page = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert page.uncovered == ()


async def test_a_rotation_without_a_new_id_leaves_the_key_uncovered() -> None:
    record = _identified()
    rotated = replace(record, retiring=record.current, current=make_record().current)
    stage = ReconcilingStage(rotated)

    page = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert (page.keys, page.uncovered) == ((), (KEY,))


async def test_the_entry_of_a_key_that_has_gone_is_forgotten() -> None:
    stage = ReconcilingStage()
    stage.reconciled.names.add(KEY)

    page = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert (page.keys, stage.reconciled.names) == ((), set())


async def test_pages_follow_each_other_until_all_keys_were_listed() -> None:
    names = [KeyName.parse(f"users/u{number}/keys/openai", "name") for number in range(120)]
    stage = ReconcilingStage(*(_identified(name, f"key_{name.owner.owner_id}xx") for name in names))
    listed: list[KeyName] = []
    after = ""
    pages = 0
    while pages == 0 or after:
        page = await stage.reconciling.list_keys(GATEWAY, None, after, REQUEST)
        listed += [key.key for key in page.keys]
        after, pages = page.last_entry, pages + 1

    assert pages == 3
    assert sorted(listed) == sorted(names)


async def test_a_day_is_compared_once_it_has_ended_for_long_enough() -> None:
    stage = ReconcilingStage(policy=ReconcilingPolicy(ADMIN_KEY, ready_after=timedelta(hours=12)))

    latest = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)
    stage.clock.advance(-1)
    earlier = await stage.reconciling.list_keys(GATEWAY, None, "", REQUEST)

    assert (latest.day, earlier.day) == (YESTERDAY, YESTERDAY - timedelta(days=1))


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(TODAY, id="goes on"),
        pytest.param(TODAY + timedelta(days=1), id="has not begun"),
        pytest.param(TODAY - timedelta(days=367), id="long ago"),
    ],
)
async def test_another_day_is_refused(day: date) -> None:
    stage = ReconcilingStage(_identified())

    with pytest.raises(InvalidFieldError, match="INVALID_ARGUMENT"):
        await stage.reconciling.list_keys(GATEWAY, day, "", REQUEST)
    with pytest.raises(InvalidFieldError, match="INVALID_ARGUMENT"):
        await stage.reconciling.report(GATEWAY, day, [_reported(Counted(9, 9, 9))], REQUEST)
    assert (stage.notifier.events, stage.log.told) == ([], [])


async def test_a_key_that_is_used_through_keyturn_only_gives_no_finding() -> None:
    stage = ReconcilingStage(_identified())
    await stage.use(KEY, requests=2, input_tokens=20, output_tokens=4)

    [comparison] = await stage.reconciling.report(
        GATEWAY, YESTERDAY, [_reported(Counted(2, 20, 4))], REQUEST
    )

    assert comparison.verdict is Verdict.MATCHES
    assert (stage.notifier.events, stage.log.told) == ([], [])


async def test_the_owner_and_security_are_told_of_use_elsewhere() -> None:
    stage = ReconcilingStage(_identified())
    await stage.use(KEY, requests=2, input_tokens=20, output_tokens=4)

    [comparison] = await stage.reconciling.report(
        GATEWAY, YESTERDAY, [_reported(Counted(5, 120, 50))], REQUEST
    )

    assert (comparison.verdict, comparison.keyturn) == (
        Verdict.USED_ELSEWHERE,
        Counted(2, 20, 4),
    )
    assert stage.log.told == [(KEY, YESTERDAY, Counted(3, 100, 46))]
    [event] = stage.notifier.events
    assert (event.type, event.owner, event.key) == ("used_elsewhere", KEY.owner, str(KEY))
    assert event.told_facts() == {
        "date": "2026-02-28",
        "openai": "5 requests with 170 tokens",
        "keyturn": "2 requests with 24 tokens",
    }


async def test_a_repeated_report_tells_the_same_event_again() -> None:
    stage = ReconcilingStage(_identified())
    for _ in range(2):
        await stage.reconciling.report(GATEWAY, YESTERDAY, [_reported(Counted(1, 1))], REQUEST)
        stage.clock.advance(3600)

    assert len({event.event_id for event in stage.notifier.events}) == 1
    assert stage.notifier.events[0].time == datetime(2026, 3, 1, tzinfo=UTC)


async def test_the_same_plaintext_under_two_names_is_compared_with_both() -> None:
    stage = ReconcilingStage(_identified(), _identified(ALICES_OTHER))
    await stage.use(KEY, requests=1, input_tokens=10)
    await stage.use(ALICES_OTHER, requests=1, input_tokens=10)

    [comparison] = await stage.reconciling.report(
        GATEWAY, YESTERDAY, [_reported(Counted(2, 20), KEY, ALICES_OTHER)], REQUEST
    )

    assert (comparison.verdict, comparison.keyturn) == (Verdict.MATCHES, Counted(2, 20))


async def test_owners_who_claim_the_same_id_learn_nothing_of_each_other() -> None:
    stage = ReconcilingStage(_identified(), _identified(TEAM_KEY))

    await stage.reconciling.report(
        GATEWAY, YESTERDAY, [_reported(Counted(1, 1), KEY, TEAM_KEY)], REQUEST
    )

    assert [name for name, _, _ in stage.log.told] == [KEY, TEAM_KEY]
    assert stage.notifier.events == []


@pytest.mark.parametrize(
    "records",
    [
        pytest.param((), id="has gone"),
        pytest.param((_identified(openai_key_id=OTHER_ID),), id="has another id"),
        pytest.param((make_record(),), id="has none"),
    ],
)
async def test_a_key_that_has_not_the_id_any_more_is_left_out(
    records: tuple[KeyRecord, ...],
) -> None:
    stage = ReconcilingStage(*records)

    comparisons = await stage.reconciling.report(
        GATEWAY, YESTERDAY, [_reported(Counted(1, 1))], REQUEST
    )

    assert (comparisons, stage.notifier.events) == ([], [])
