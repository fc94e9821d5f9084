from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from keyvault_svc.domain import usage_report
from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.errors import KeyNotFoundError, NotTheOwnerError
from keyvault_svc.domain.grant_list import MAX_GRANTS
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limits import LimitKind, LimitRef, Limits, LimitScope
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.domain.usage_report import MAX_STANDINGS, RowPlace
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import KEY, SEARCH, make_grant, make_record, make_terms
from tests.unit.keyvault_svc.usage_stage import ALICE, GRANT, UsageStage

REQUEST = "request-0001"
PERSON = Person("alice")
OTHER_KEY = KeyName.parse("users/alice/keys/other", "name")
TEAM = OwnerName.parse("teams/payments", "name")
TODAY = START.date()
DAY_SECONDS = 86_400.0
CALLS = LimitKind.CONCURRENT_CALLS
RULES = RoleRules(auditor_groups=frozenset({"auditors"}), operator_groups=frozenset({"sre"}))


@asynccontextmanager
async def _stage(*records: KeyRecord, **options: Any) -> AsyncIterator[UsageStage]:  # noqa: ANN401 - handed on
    stage = UsageStage(*records, **options)
    try:
        yield stage
    finally:
        await stage.limits.close()


async def test_an_owners_rows_are_told_by_day_and_those_of_others_are_not() -> None:
    async with _stage(make_record()) as stage:
        late, early = stage.row(model="gpt-4o"), stage.row(model="gpt-4")
        for row in (late, early):
            await stage.use(row)
        await stage.use(stage.row(), owner=TEAM)
        stage.clock.advance(DAY_SECONDS)
        tomorrow = stage.row(model="a")
        await stage.use(tomorrow)

        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert report.rows == (early, late, tomorrow)
    assert report.owner == ALICE


async def test_a_keys_rows_are_its_own() -> None:
    async with _stage(make_record()) as stage:
        mine = stage.row()
        await stage.use(mine)
        await stage.use(stage.row(key_id="other"))

        report = await stage.reporting.report(PERSON, KEY, REQUEST)

    assert report.rows == (mine,)


async def test_what_a_deleted_key_took_is_told_with_its_owner() -> None:
    async with _stage() as stage:
        gone = stage.row(key_id="gone")
        await stage.use(gone)

        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

        with pytest.raises(KeyNotFoundError):
            await stage.reporting.report(PERSON, KeyName(ALICE, "gone"), REQUEST)

    assert report.rows == (gone,)


async def test_without_days_it_is_this_month_until_today() -> None:
    async with _stage() as stage:
        await stage.use(stage.row())
        stage.clock.advance(31 * DAY_SECONDS)  # the first of April
        april = stage.row()
        await stage.use(april)

        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert report.rows == (april,)


async def test_both_days_are_included() -> None:
    async with _stage() as stage:
        rows = []
        for _ in range(4):
            rows.append(stage.row())
            await stage.use(rows[-1])
            stage.clock.advance(DAY_SECONDS)

        report = await stage.reporting.report(
            PERSON,
            ALICE,
            REQUEST,
            since=TODAY + timedelta(days=1),
            until=TODAY + timedelta(days=2),
        )

    assert report.rows == tuple(rows[1:3])


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (TODAY, TODAY - timedelta(days=1)),
        (TODAY + timedelta(days=1), None),
        (None, date(2026, 2, 28)),
        (TODAY, TODAY + timedelta(days=367)),
        (date.min, date.max),
        (date.max, date.min),
    ],
)
async def test_days_in_no_order_or_too_many_are_refused(
    since: date | None, until: date | None
) -> None:
    async with _stage() as stage:
        with pytest.raises(InvalidFieldError) as caught:
            await stage.reporting.report(PERSON, ALICE, REQUEST, since=since, until=until)

    assert caught.value.field == "until_date"
    assert stage.keys.line.requests == []


@pytest.mark.parametrize("since", [TODAY - timedelta(days=366), date.max - timedelta(days=366)])
async def test_a_year_is_not_too_much(since: date) -> None:
    async with _stage() as stage:
        report = await stage.reporting.report(
            PERSON, ALICE, REQUEST, since=since, until=since + timedelta(days=366)
        )

    assert report.rows == ()


async def test_it_goes_on_after_a_row_without_looking_at_limits() -> None:
    async with _stage(make_record().limited(Limits(concurrent_calls=1))) as stage:
        rows = [stage.row(model=model) for model in ("a", "b", "c")]
        for row in rows:
            await stage.use(row)

        report = await stage.reporting.report(PERSON, KEY, REQUEST, after=RowPlace.of(rows[0]))

    assert report.rows == tuple(rows[1:])
    assert report.standings == ()
    assert stage.keys.line.requests == stage.controls.line.requests == []


async def test_pages_hold_every_row_once() -> None:
    async with _stage() as stage:
        for model, member, _ in itertools.product("ab", ("", "bob", "eve"), range(3)):
            await stage.use(stage.row(model=model, member=member))
            stage.clock.advance(DAY_SECONDS / 4)
        whole = (await stage.reporting.report(PERSON, ALICE, REQUEST)).rows
        paged = list(whole[:1])
        while more := (
            await stage.reporting.report(PERSON, ALICE, REQUEST, after=RowPlace.of(paged[-1]))
        ).rows:
            paged += more[:2]

    assert tuple(paged) == whole
    assert sum(row.requests for row in whole) == 18


async def test_it_tells_how_far_each_limit_is_used_up() -> None:
    of_grant = make_grant(1, replace(make_terms(), limits=Limits(concurrent_calls=5)))
    key = make_record(of_grant).limited(Limits(tokens_per_day=1000))
    default = Limits(usd_per_month=Decimal("1.5"))
    refs = (
        LimitRef(LimitScope.GRANT, f"openai/{GRANT}", CALLS, 5),
        LimitRef(LimitScope.KEY, "openai", LimitKind.TOKENS_PER_DAY, 1000),
        LimitRef(LimitScope.OWNER, "", LimitKind.USD_PER_MONTH, 1_500_000),
    )
    async with _stage(key, default=default) as stage:
        row = stage.row(tokens=200, micro_usd=300_000)
        await stage.use(row, *refs)
        await stage.use(row, *refs, is_settled=False)

        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    told = {s.limit: (s.used, s.held, s.remaining) for s in report.standings}
    assert told == {
        refs[0]: (0, 1, 4),
        refs[1]: (400, 400, 200),
        refs[2]: (300_000, 300_000, 900_000),
    }


async def test_of_a_key_it_tells_the_owners_limits_and_the_keys_own() -> None:
    key = make_record().limited(Limits(concurrent_calls=1))
    other = make_record(name=OTHER_KEY).limited(Limits(concurrent_calls=2))
    async with _stage(key, other, default=Limits(concurrent_calls=3)) as stage:
        report = await stage.reporting.report(PERSON, KEY, REQUEST)

    assert [(s.limit.subject, s.limit.limit) for s in report.standings] == [("", 3), ("openai", 1)]


async def test_limits_of_grants_that_have_ended_are_not_told() -> None:
    terms = replace(make_terms(), limits=Limits(concurrent_calls=5))
    key = make_record(
        make_grant(1, terms, revoke_time=START),
        make_grant(2, replace(terms, expire_time=START)),
        make_grant(3, replace(terms, app=SEARCH)),
    )
    async with _stage(key) as stage:
        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert [s.limit.subject for s in report.standings] == [f"openai/{3:016x}"]


async def test_an_owners_own_limits_stand_in_the_place_of_the_deployments() -> None:
    controls = Controls(owner_limits={ALICE: Limits(concurrent_calls=9)})
    default = Limits(concurrent_calls=3, tokens_per_day=4)
    async with _stage(controls=controls, default=default) as stage:
        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert [(s.limit.kind, s.limit.limit) for s in report.standings] == [(CALLS, 9)]


async def test_of_too_many_limits_those_that_are_used_up_most_are_told_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_report, "MAX_STANDINGS", 2)
    names = [KeyName(ALICE, f"key-{number}") for number in range(4)]
    keys = [make_record(name=name).limited(Limits(concurrent_calls=4)) for name in names]
    async with _stage(*keys) as stage:
        for number, calls in enumerate([3, 0, 1, 2]):
            ref = LimitRef(LimitScope.KEY, f"key-{number}", CALLS, 4)
            for _ in range(calls):
                await stage.use(stage.row(), ref, is_settled=False)

        report = await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert [(s.limit.subject, s.held) for s in report.standings] == [("key-0", 3), ("key-3", 2)]


def test_no_limit_of_a_single_key_is_ever_left_out() -> None:
    of_each = len(LimitKind)

    assert of_each * (MAX_GRANTS + 2) <= MAX_STANDINGS  # its grants', its own and its owner's


async def test_keys_are_listed_once_and_each_is_read_once() -> None:
    names = [KeyName(ALICE, f"key-{number}") for number in range(20)]
    async with _stage(*(make_record(name=name) for name in names)) as stage:
        await stage.reporting.report(PERSON, ALICE, REQUEST)

    assert stage.keys.line.requests == ["list records", *["read record"] * 20]
    assert sorted(tags.key for tags in stage.keys.reads) == sorted(map(str, names))
    assert {tags.request_id for tags in stage.keys.reads} == {REQUEST}


async def test_while_vault_is_away_nothing_is_told() -> None:
    async with _stage(make_record()) as stage:
        stage.keys.line.break_at(1)

        with pytest.raises(VaultUnavailableError):
            await stage.reporting.report(PERSON, ALICE, REQUEST)


async def test_while_the_controls_cannot_be_read_no_limits_are_guessed() -> None:
    async with _stage(make_record(), default=Limits(concurrent_calls=1)) as stage:
        stage.controls.line.break_at(1)

        with pytest.raises(VaultUnavailableError):
            await stage.reporting.report(PERSON, KEY, REQUEST)


@pytest.mark.parametrize(
    ("person", "owner"),
    [
        (Person("alice"), ALICE),
        (Person("bob", frozenset({"payments"})), TEAM),
        (Person("bob", frozenset({"payments-admins"})), TEAM),
        (Person("bob", frozenset({"auditors"}), RULES), ALICE),
        (Person("bob", frozenset({"sre"}), RULES), TEAM),
    ],
)
async def test_owners_members_auditors_and_operators_may_know(
    person: Person, owner: OwnerName
) -> None:
    async with _stage() as stage:
        assert (await stage.reporting.report(person, owner, REQUEST)).owner == owner


@pytest.mark.parametrize(
    ("person", "owner"),
    [
        (Person("bob"), ALICE),
        (Person("bob", frozenset({"alice"})), ALICE),
        (Person("payments"), TEAM),
        (Person("bob", frozenset({"auditors"})), TEAM),
    ],
)
async def test_nobody_else_may_know(person: Person, owner: OwnerName) -> None:
    async with _stage() as stage:
        with pytest.raises(NotTheOwnerError):
            await stage.reporting.report(person, owner, REQUEST)

    assert stage.keys.line.requests == stage.controls.line.requests == []


async def test_nobody_learns_whether_a_key_of_somebody_else_is_there() -> None:
    async with _stage(make_record()) as stage:
        errors = []
        for name in (KEY, OTHER_KEY):
            with pytest.raises(NotTheOwnerError) as caught:
                await stage.reporting.report(Person("mallory"), name, REQUEST)
            errors.append(str(caught.value))

    assert errors[0] == errors[1]
    assert stage.keys.line.requests == []
