from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import KeyChangedMeanwhileError, NotTheOwnerError
from keyvault_svc.domain.events import Event, EventType
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.operating import Operating
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog

REQUEST = "request-0001"
RULES = RoleRules(auditor_groups=frozenset({"auditors"}), operator_groups=frozenset({"sre"}))
OLGA = Person("olga", frozenset({"sre"}), RULES)
AUDREY = Person("audrey", frozenset({"auditors"}), RULES)
ALICE = Person("alice", frozenset({"payments-admins"}), RULES)
OWNER = OwnerName.parse("users/alice", "owner")
SUBJECT = Subject(OWNER)
OTHER = Subject(None)
STRICT = Limits(usd_per_month=Decimal(5))
DEFAULT = Limits(usd_per_month=Decimal(100))


class _Stage:
    def __init__(self) -> None:
        self.store = FakeControlsStore()
        self.log = FakeOperatingLog()
        self.notifier = FakeNotifier()
        self.clock = FakeClock()
        self.operating = Operating(self.store, self.log, self.notifier, DEFAULT, self.clock)

    async def suspend(self, subject: Subject = SUBJECT, reason: str = "leaked") -> Suspension:
        return await self.operating.suspend(OLGA, subject, reason, REQUEST)


async def test_a_stop_says_who_made_it_when_and_why() -> None:
    stage = _Stage()

    suspension = await stage.suspend()

    assert suspension == Suspension(SUBJECT, "leaked", "olga", START)
    assert stage.store.stored.suspensions == {SUBJECT: suspension}
    assert stage.log.told == [("suspended", SUBJECT, "olga")]


async def test_suspending_twice_writes_and_tells_once() -> None:
    stage = _Stage()
    first = await stage.suspend()
    stage.clock.advance(60)

    assert await stage.suspend(reason="again") == first
    assert stage.store.line.requests.count("write controls") == 1
    assert len(stage.log.told) == 1


@pytest.mark.parametrize(
    ("subject", "key"), [("users/alice", ""), ("users/alice/keys/a", "users/alice/keys/a")]
)
async def test_an_owner_is_told_once_that_they_or_their_key_are_stopped(
    subject: str, key: str
) -> None:
    stage = _Stage()

    for _ in range(2):
        await stage.suspend(Subject.parse(subject, "subject"))

    assert stage.notifier.events == [
        Event(EventType.SUSPENDED, OWNER, key, "", "", START, {"what": subject})
    ]
    assert "leaked" not in stage.notifier.events[0].sentence


@pytest.mark.parametrize("subject", ["*", "spiffe://example.org/app/a"])
async def test_of_what_has_no_one_owner_nobody_is_told(subject: str) -> None:
    stage = _Stage()

    await stage.suspend(Subject.parse(subject, "subject"))

    assert stage.notifier.events == []


async def test_resuming_tells_whether_there_was_a_stop() -> None:
    stage = _Stage()
    await stage.suspend()

    answers = [await stage.operating.resume(OLGA, SUBJECT, REQUEST) for _ in range(2)]

    assert answers == [True, False]
    assert stage.store.stored.suspensions == {}
    assert stage.log.told[1:] == [("resumed", SUBJECT, "olga")]


async def test_limits_of_an_owner_hold_until_they_are_taken_back() -> None:
    stage = _Stage()
    told = [
        await stage.operating.set_owner_limits(OLGA, OWNER, limits, REQUEST)
        for limits in (STRICT, STRICT, Limits(), None, None)
    ]

    assert told == [STRICT, STRICT, Limits(), DEFAULT, DEFAULT]
    assert stage.log.told == [
        ("owner_limits_set", OWNER, STRICT, "olga"),
        ("owner_limits_set", OWNER, Limits(), "olga"),
        ("owner_limits_set", OWNER, None, "olga"),
    ]


async def test_what_another_operator_decides_meanwhile_stays() -> None:
    stage = _Stage()
    stage.store.line.before("write controls", lambda: stage.suspend(OTHER))

    await stage.suspend()

    assert set(stage.store.stored.suspensions) == {SUBJECT, OTHER}


async def test_of_two_operators_who_stop_the_same_the_first_counts() -> None:
    stage = _Stage()
    stage.store.line.before("write controls", lambda: stage.suspend(reason="first"))

    suspension = await stage.suspend(reason="second")

    assert suspension.reason == "first"
    assert len(stage.log.told) == 1


async def test_a_writer_that_never_gets_through_gives_up() -> None:
    stage = _Stage()

    def overtake() -> None:
        stage.store.stored = replace(stage.store.stored, revision=stage.store.stored.revision + 1)

    for _ in range(8):
        stage.store.line.before("write controls", overtake)

    with pytest.raises(KeyChangedMeanwhileError):
        await stage.suspend()


async def test_a_refused_reason_stops_nothing() -> None:
    stage = _Stage()

    with pytest.raises(InvalidFieldError):
        await stage.suspend(reason="")

    assert stage.store.line.requests == []


async def test_an_outage_is_told_and_nothing_is_logged_as_done() -> None:
    stage = _Stage()
    stage.store.line.break_at(2)

    with pytest.raises(VaultUnavailableError):
        await stage.suspend()

    assert stage.store.stored == Controls()
    assert stage.log.told == []


Operation = Callable[[Operating, Person], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "suspend": lambda o, p: o.suspend(p, SUBJECT, "leaked", REQUEST),
    "resume": lambda o, p: o.resume(p, SUBJECT, REQUEST),
    "controls": lambda o, p: o.controls(p, REQUEST),
    "set_owner_limits": lambda o, p: o.set_owner_limits(p, OWNER, STRICT, REQUEST),
}


@pytest.mark.parametrize("person", [ALICE, AUDREY], ids=lambda person: person.name)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_only_operators_decide_and_auditors_read(operation: str, person: Person) -> None:
    stage = _Stage()

    if (operation, person) == ("controls", AUDREY):
        assert await stage.operating.controls(AUDREY, REQUEST) == Controls()
        return
    with pytest.raises(NotTheOwnerError):
        await OPERATIONS[operation](stage.operating, person)
    assert stage.store.line.requests == []


async def test_all_that_was_decided_on_an_owner_is_taken_back_at_once_and_told() -> None:
    stage = _Stage()
    key = Subject(KeyName(OWNER, "openai"))
    for subject in (SUBJECT, key, OTHER):
        await stage.suspend(subject)
    await stage.operating.set_owner_limits(OLGA, OWNER, STRICT, REQUEST)
    stage.log.told.clear()

    gone = await stage.operating.forget(OLGA, OWNER, REQUEST)
    again = await stage.operating.forget(OLGA, OWNER, REQUEST)

    assert (list(gone.suspensions), gone.owner_limits) == ([SUBJECT, key], {OWNER: STRICT})
    assert (again.suspensions, again.owner_limits) == ({}, {})
    assert list(stage.store.stored.suspensions) == [OTHER]
    assert stage.log.told == [
        ("resumed", SUBJECT, "olga"),
        ("resumed", key, "olga"),
        ("owner_limits_set", OWNER, None, "olga"),
    ]


async def test_nobody_but_an_operator_takes_back_what_operators_decided() -> None:
    stage = _Stage()
    await stage.suspend()

    for person in (ALICE, AUDREY):
        with pytest.raises(NotTheOwnerError):
            await stage.operating.forget(person, OWNER, REQUEST)

    assert list((await stage.operating.about(OWNER, REQUEST)).suspensions) == [SUBJECT]
