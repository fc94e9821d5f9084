from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.grant_requests import GrantRequest, GrantRequests
from keyvault_svc.domain.limit_refs import limit_refs
from keyvault_svc.domain.limit_store import Reservation, Taken, UsageRow
from keyvault_svc.domain.limits import Amounts, Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.retention import RetentionPolicy
from keyvault_svc.domain.roles import RoleRules
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.custody_stage import ALICE, REQUEST, Stage
from tests.unit.keyvault_svc.samples import KEY, make_grant, make_record, make_terms

NAMES = [KeyName.parse(f"users/alice/keys/{key_id}", "name") for key_id in "abc"]
BOBS = KeyName.parse("users/bob/keys/openai", "name")
DAY = timedelta(days=1)
OLGA = Person("olga", frozenset({"sre"}), RoleRules(operator_groups=frozenset({"sre"})))
BUDGET = Limits(tokens_per_month=100)
OWN_LIMITS = Limits(usd_per_month=Decimal(5))
STOPS = [Subject(KEY.owner), Subject(NAMES[0])]
STOPS_OF_OTHERS = [Subject(BOBS.owner), Subject(BOBS), Subject(None)]
ALWAYS = {"vault_backups", "vault_audit_log", "service_logs", "operator_controls"}


def _stage(owner_limits: Limits = BUDGET) -> Stage:
    mine = [make_record(make_grant(), name=n, fingerprint=n.key_id) for n in NAMES]
    return Stage(*mine, make_record(name=BOBS), owner_limits=owner_limits)


def _decide(stage: Stage) -> None:
    """Have operators stop and limit Alice, her keys and Bob."""
    stops = {s: Suspension(s, "drill", "olga", START) for s in (*STOPS, *STOPS_OF_OTHERS)}
    limits = dict.fromkeys((KEY.owner, BOBS.owner), OWN_LIMITS)
    stage.controls.stored = Controls(stops, limits)


async def _use(stage: Stage, owner: OwnerName) -> None:
    """Use a key of *owner* under a budget, from a network."""
    limits = tuple(limit_refs(owner, BUDGET))
    amounts = Amounts(tokens=30)
    row = UsageRow(START.date(), "a", "0" * 16, "spiffe://t/app", "gpt-4o", "", 1, 10, 20, 0, 0)
    await stage.limits.reserve(Reservation("1", owner, limits, amounts, START + DAY), START)
    taken = Taken("1", owner, amounts, row, grant_id="0" * 16, network="192.0.2.0/24")
    await stage.limits.settle(taken, START)


async def _held(stage: Stage, owner: OwnerName) -> tuple[int, int]:
    """Return how many rows of usage are held on *owner*, and what is used of the budget."""
    rows = await stage.limits.usage(owner, date.min, date.max)
    (standing,) = await stage.limits.standings(owner, tuple(limit_refs(owner, BUDGET)), START)
    return len(rows), standing.used


async def test_what_stays_elsewhere_is_told_with_its_end() -> None:
    stage = Stage(retention=RetentionPolicy(vault_backups=30 * DAY, service_logs=DAY))

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    notices = {notice.place: notice for notice in report.notices}
    assert set(notices) == ALWAYS
    assert notices["vault_backups"].gone_time == START + 30 * DAY
    assert notices["service_logs"].retention == DAY
    assert all(notice.content for notice in notices.values())


async def test_what_the_deployment_does_not_declare_has_no_known_end() -> None:
    report = await Stage().erasure.erase(ALICE, KEY.owner, REQUEST)

    assert {(notice.retention, notice.gone_time) for notice in report.notices} == {(None, None)}


async def test_everything_of_one_owner_is_exported_and_nothing_of_others() -> None:
    stage = _stage()
    _decide(stage)
    asked = GrantRequest("0" * 16, NAMES[0], make_terms(), "Rechnungen", "dev", START)
    stage.requests.stored[KEY.owner] = GrantRequests(KEY.owner, (asked,))
    others = GrantRequest("1" * 16, BOBS, make_terms(), "Rechnungen", "dev", START)
    stage.requests.stored[BOBS.owner] = GrantRequests(BOBS.owner, (others,))

    export = await stage.erasure.export(ALICE, KEY.owner, REQUEST)

    assert [record.name for record in export.records] == NAMES
    assert all(record.grants for record in export.records)
    assert export.requests == (asked,)
    assert [suspension.subject for suspension in export.suspensions] == STOPS
    assert export.limits == OWN_LIMITS


async def test_an_export_tells_the_limits_of_all_owners_where_one_has_no_others() -> None:
    export = await _stage().erasure.export(ALICE, KEY.owner, REQUEST)

    assert (export.limits, export.suspensions) == (BUDGET, ())


async def test_an_export_tells_what_else_is_held_and_for_how_long() -> None:
    export = await _stage().erasure.export(ALICE, KEY.owner, REQUEST)

    notices = {notice.place: notice for notice in export.notices}
    assert set(notices) == {*ALWAYS, "limit_store"}
    assert notices["limit_store"].retention == 400 * DAY


async def test_an_erased_owner_has_nothing_left_and_others_lose_nothing() -> None:
    stage = _stage()

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert [proof.key for proof in report.proofs] == NAMES
    assert all(proof.destroyed_version_count == 2 for proof in report.proofs)
    assert set(stage.store.versions) == {BOBS}
    assert stage.index.noted == {"hmac": (BOBS,)}


async def test_usage_is_forgotten_with_the_owner() -> None:
    stage = _stage()
    for owner in (KEY.owner, BOBS.owner):
        await _use(stage, owner)

    report = await stage.erasure.erase(OLGA, KEY.owner, REQUEST)

    assert report.forgotten_count > 0
    assert await _held(stage, KEY.owner) == (0, 0)
    assert await _held(stage, BOBS.owner) == (1, 30)


async def test_an_owner_begins_no_new_budget_by_erasing_themselves() -> None:
    stage = _stage()
    await _use(stage, KEY.owner)

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert report.forgotten_count > 0
    assert await _held(stage, KEY.owner) == (0, 30)
    (notice,) = [notice for notice in report.notices if notice.place == "limit_store"]
    month_ends = (START.replace(day=1) + 31 * DAY).replace(day=1, hour=0, minute=0, second=0)
    assert notice.gone_time == month_ends.replace(microsecond=0) + DAY


async def test_an_owner_ends_no_suspension_by_erasing_themselves_and_is_told() -> None:
    stage = _stage(Limits())
    _decide(stage)
    decided = stage.controls.stored

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert stage.controls.stored == decided
    assert (report.ended_suspension_count, report.has_ended_limits) == (0, False)
    places = {notice.place for notice in report.notices}
    assert places == {*ALWAYS, "limit_store"}


async def test_an_operator_takes_back_what_was_decided_on_the_erased_owner_alone() -> None:
    stage = _stage()
    _decide(stage)

    report = await stage.erasure.erase(OLGA, KEY.owner, REQUEST)

    assert (report.ended_suspension_count, report.has_ended_limits) == (2, True)
    assert list(stage.controls.stored.suspensions) == STOPS_OF_OTHERS
    assert stage.controls.stored.owner_limits == {BOBS.owner: OWN_LIMITS}
    assert {notice.place for notice in report.notices} == ALWAYS
    ended = [("resumed", subject, "olga") for subject in STOPS]
    assert stage.operating_log.told == [*ended, ("owner_limits_set", KEY.owner, None, "olga")]


async def test_an_erasure_writes_no_controls_where_nothing_was_decided_on_the_owner() -> None:
    stage = _stage()

    report = await stage.erasure.erase(OLGA, KEY.owner, REQUEST)

    assert (report.ended_suspension_count, report.has_ended_limits) == (0, False)
    assert "write controls" not in stage.line.requests
    assert stage.operating_log.told == []


async def test_keys_are_destroyed_though_the_store_of_limits_is_away() -> None:
    stage = _stage()
    await _use(stage, KEY.owner)
    stage.limits.break_all()
    with pytest.raises(LimitStoreUnavailableError):
        await stage.erasure.erase(ALICE, KEY.owner, REQUEST)
    assert set(stage.store.versions) == {BOBS}
    stage.limits.mend()

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert report.forgotten_count > 0
    assert await _held(stage, KEY.owner) == (0, 30)


async def test_an_owner_of_nothing_is_erased_already() -> None:
    report = await Stage().erasure.erase(ALICE, KEY.owner, REQUEST)

    assert (report.proofs, report.forgotten_count) == ([], 0)


async def test_a_key_that_somebody_else_deletes_meanwhile_is_passed_over() -> None:
    stage = _stage()
    stage.line.before("read record", lambda: stage.custody.delete(ALICE, NAMES[0], REQUEST))

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert [proof.key for proof in report.proofs] == NAMES[1:]
    assert set(stage.store.versions) == {BOBS}


async def test_an_erasure_that_broke_off_is_finished_by_another() -> None:
    stage = _stage()
    stage.line.break_at(20)
    with pytest.raises(VaultUnavailableError):
        await stage.erasure.erase(ALICE, KEY.owner, REQUEST)
    assert len(stage.store.versions) > 1
    stage.line.mend()

    await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    assert set(stage.store.versions) == {BOBS}


async def test_a_key_whose_deletion_broke_off_is_erased_too() -> None:
    stage = Stage(make_record().deleted(START - DAY))

    report = await stage.erasure.erase(ALICE, KEY.owner, REQUEST)

    (proof,) = report.proofs
    assert proof.key == KEY
    assert stage.store.versions == {}
