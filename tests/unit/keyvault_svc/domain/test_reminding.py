"""What owners are reminded of, and how the job goes through the records."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.reminding import Reminding, RemindResult, events_of
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_rewrap_log import FakeRewrapLog
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.unit.keyvault_svc.samples import (
    BILLING,
    KEY,
    make_grant,
    make_record,
    make_terms,
    make_version,
)

REQUEST = "request-of-the-job"
DAY = timedelta(days=1)
WITHIN = 14 * DAY
NO_PLANS = KeyPolicy(rotate_after=None)
# The versions of the samples are a day old.
DUE_IN_TEN_DAYS = KeyPolicy(rotate_after=11 * DAY)
OWNERS = ("teams/payments", "users/alice", "users/bob")


def _dues(
    record: KeyRecord, policy: KeyPolicy = NO_PLANS, now: datetime = START
) -> list[tuple[str, str]]:
    events = events_of(record, policy, now, WITHIN)
    return [(event.facts["due"], event.facts["date"]) for event in events]


def _name(owner: str, key_id: str = "openai") -> KeyName:
    return KeyName.parse(f"{owner}/keys/{key_id}", "name")


def test_nothing_is_due_with_a_key_without_dates() -> None:
    assert _dues(make_record(make_grant())) == []


@pytest.mark.parametrize(
    ("days", "dues"),
    [
        (15, [("rotation", "2026-03-15")]),
        (15.01, []),
        (1, [("rotation", "2026-03-01")]),
        (0.25, [("rotation", "2026-02-28")]),
    ],
    ids=["as soon as it is near", "not before", "on the day", "from then on"],
)
def test_a_rotation_is_told(days: float, dues: list[tuple[str, str]]) -> None:
    policy = KeyPolicy(rotate_after=days * DAY)

    assert _dues(make_record(), policy) == dues


def test_a_rotation_under_way_is_not_told() -> None:
    incoming = make_version(2, KeyState.PENDING)
    record = replace(make_record(), incoming=incoming, last_number=2)

    assert _dues(record, DUE_IN_TEN_DAYS) == []


def test_the_end_that_an_owner_set_is_told_until_it_has_come() -> None:
    record = replace(make_record(), expire_time=START + WITHIN)

    assert _dues(record) == [("expiry", "2026-03-15")]
    assert _dues(record, now=START - timedelta(seconds=1)) == []
    assert _dues(record, now=START + WITHIN) == []


def test_the_end_that_a_deployment_sets_is_told() -> None:
    policy = KeyPolicy(rotate_after=None, max_age=3 * DAY)

    assert _dues(make_record(), policy) == [("expiry", "2026-03-03")]


def test_a_key_that_is_rotated_may_still_end() -> None:
    incoming = make_version(2, KeyState.PENDING)
    record = replace(make_record(), incoming=incoming, last_number=2, expire_time=START + DAY)

    assert _dues(record) == [("expiry", "2026-03-02")]


def test_the_end_of_a_grant_is_told_with_its_app() -> None:
    near = make_grant(1, make_terms(expire_time=START + DAY))
    far = make_grant(2, make_terms(expire_time=START + 15 * DAY))
    past = make_grant(3, make_terms(expire_time=START))
    revoked = make_grant(4, make_terms(expire_time=START + DAY), revoke_time=START)

    (event,) = events_of(make_record(near, far, past, revoked), NO_PLANS, START, WITHIN)

    assert (event.type, event.owner, event.key) == (EventType.KEY_DUE, KEY.owner, str(KEY))
    assert (event.grant, event.app) == (f"{KEY}/grants/{near.grant_id}", str(BILLING))
    assert event.facts == {"due": "grant_end", "date": "2026-03-02"}


@pytest.mark.parametrize(
    "state", sorted(set(KeyState) - {KeyState.ACTIVE, KeyState.PENDING, KeyState.RETIRING})
)
def test_nothing_is_told_of_a_key_that_does_not_serve(state: KeyState) -> None:
    grant = make_grant(1, make_terms(expire_time=START + DAY))
    record = replace(make_record(grant, state=state), expire_time=START + DAY)

    assert _dues(record, DUE_IN_TEN_DAYS) == []


def test_a_key_that_waits_for_its_verification_is_told_of_but_for_its_rotation() -> None:
    grant = make_grant(1, make_terms(expire_time=START + DAY))
    record = replace(make_record(grant, state=KeyState.PENDING), expire_time=START + DAY)

    assert [due for due, _ in _dues(record, DUE_IN_TEN_DAYS)] == ["expiry", "grant_end"]


def _ids(record: KeyRecord, now: datetime) -> list[str]:
    return [event.event_id for event in events_of(record, DUE_IN_TEN_DAYS, now, WITHIN)]


def test_ids_are_the_same_all_day_and_others_on_the_next() -> None:
    first, second = (make_grant(n, make_terms(expire_time=START + 9 * DAY)) for n in (1, 2))
    record = replace(make_record(first, second), expire_time=START + 9 * DAY)
    midnight = START.replace(hour=0)

    ids = _ids(record, START)

    assert len(set(ids)) == 4  # a rotation, an expiry, and two ends of grants
    assert ids == _ids(record, midnight)
    assert ids == _ids(record, midnight + DAY - timedelta(microseconds=1))
    assert not set(ids) & set(_ids(record, midnight + DAY))


class _Stage:
    """A job over two keys for each of three owners; the clock moves with its pauses."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.line = FakeVaultLine()
        records = [make_record(name=_name(owner, key)) for owner in OWNERS for key in ("a", "b")]
        self.store = FakeKeyStore(*records, line=self.line)
        self.pauses: list[float] = []
        self.steps: list[tuple[int, int]] = []

    async def run(self) -> RemindResult:
        job = Reminding(
            self.store,
            FakeRewrapLog(self.line, self.store),
            DUE_IN_TEN_DAYS,
            self.clock,
            self._sleep,
            within=WITHIN,
            records_per_second=4.0,
        )
        return await job.run(REQUEST, lambda done, total: self.steps.append((done, total)))

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)


async def test_every_owner_hears_of_every_key_of_theirs() -> None:
    stage = _Stage()

    result = await stage.run()

    told = [(str(event.owner), event.key) for event in result.events]
    assert told == [(owner, str(_name(owner, key))) for owner in OWNERS for key in ("a", "b")]
    assert (result.keys, result.unreadable) == (6, ())


async def test_the_job_reads_each_record_once_at_its_pace_and_changes_none() -> None:
    stage = _Stage()

    await stage.run()

    assert stage.pauses == [0.25] * 6
    assert stage.store.reads == [
        AuditTags(REQUEST, str(_name(owner, key))) for owner in OWNERS for key in ("a", "b")
    ]
    assert stage.store.writes == []
    assert stage.steps == [(1, 3), (2, 3), (3, 3)]


async def test_a_run_that_passes_midnight_has_one_day() -> None:
    stage = _Stage()
    stage.clock.advance(12 * 3600 - 0.5)

    result = await stage.run()

    assert {event.time for event in result.events} == {START.replace(hour=0)}


@pytest.mark.parametrize("request_number", range(1, 11))
async def test_a_run_that_vault_breaks_off_tells_nothing(request_number: int) -> None:
    stage = _Stage()
    stage.line.break_at(request_number)

    with pytest.raises(VaultUnavailableError):
        await stage.run()


async def test_a_record_that_cannot_be_read_is_named_and_keeps_no_other_from_being_told() -> None:
    stage = _Stage()
    stage.line.before("read record", _unreadable)

    result = await stage.run()

    assert result.unreadable == (_name(OWNERS[0], "a"),)
    assert len(result.events) == result.keys == 5


def _unreadable() -> None:
    raise KeyRecordUnreadableError
