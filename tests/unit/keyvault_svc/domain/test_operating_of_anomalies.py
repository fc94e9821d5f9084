from __future__ import annotations

import pytest

from keyvault_svc.domain.controls import Controls, Subject, Suspension
from keyvault_svc.domain.errors import TooManySuspensionsError
from keyvault_svc.domain.events import EventType
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.operating import BY_ANOMALIES, MAX_BY_ANOMALIES, Operating
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.roles import RoleRules
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_controls_store import FakeControlsStore
from tests.fakes.fake_notifier import FakeNotifier
from tests.fakes.fake_operating_log import FakeOperatingLog
from tests.unit.keyvault_svc.samples import KEY

REQUEST = "request-0001"
SUBJECT = Subject(KEY)
_OLGA = Person("olga", frozenset({"sre"}), RoleRules(operator_groups=frozenset({"sre"})))


class _Stage:
    def __init__(self, stored: Controls | None = None) -> None:
        self.store = FakeControlsStore(stored)
        self.log = FakeOperatingLog()
        self.notifier = FakeNotifier()
        self.operating = Operating(self.store, self.log, self.notifier, Limits(), FakeClock())


async def test_unusual_use_stops_one_key_and_is_told_to_its_owner_and_to_security() -> None:
    stage = _Stage()

    suspension = await stage.operating.suspend_unusual(KEY, "a spike", REQUEST)

    assert suspension == Suspension(SUBJECT, "a spike", BY_ANOMALIES, START)
    assert stage.store.stored.suspensions == {SUBJECT: suspension}
    assert stage.log.told == [("suspended", SUBJECT, BY_ANOMALIES)]
    (event,) = stage.notifier.events
    assert (event.type, event.owner, event.key) == (EventType.SUSPENDED, KEY.owner, str(KEY))


async def test_a_stop_of_an_operator_stays_as_it_is() -> None:
    before = Suspension(SUBJECT, "leaked", "olga", START)
    stage = _Stage(Controls({SUBJECT: before}))

    assert await stage.operating.suspend_unusual(KEY, "a spike", REQUEST) == before
    assert stage.log.told == []
    assert stage.notifier.events == []


async def test_a_writer_in_between_does_not_get_in_the_way() -> None:
    stage = _Stage()
    stage.store.line.before(
        "write controls", lambda: stage.operating.suspend_unusual(KEY, "first", REQUEST)
    )

    suspension = await stage.operating.suspend_unusual(KEY, "second", REQUEST)

    assert suspension.reason == "first"
    assert len(stage.log.told) == 1


async def test_what_cannot_be_stopped_is_told_to_the_caller() -> None:
    stage = _Stage()
    stage.store.line.break_at(1)

    with pytest.raises(VaultUnavailableError):
        await stage.operating.suspend_unusual(KEY, "a spike", REQUEST)


async def test_there_is_a_most_of_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyvault_svc.domain.controls.MAX_SUSPENSIONS", 0)

    with pytest.raises(TooManySuspensionsError):
        await _Stage().operating.suspend_unusual(KEY, "a spike", REQUEST)


async def test_unusual_use_of_many_keys_leaves_operators_room_for_stops_of_their_own() -> None:
    keys = [KeyName(KEY.owner, f"key-{number}") for number in range(MAX_BY_ANOMALIES)]
    stops = [Suspension(Subject(key), "a spike", BY_ANOMALIES, START) for key in keys]
    stage = _Stage(Controls({stop.subject: stop for stop in stops}))

    with pytest.raises(TooManySuspensionsError):
        await stage.operating.suspend_unusual(KEY, "a spike", REQUEST)
    assert await stage.operating.suspend_unusual(keys[0], "another", REQUEST) == stops[0]
    await stage.operating.suspend(_OLGA, SUBJECT, "leaked", REQUEST)

    assert SUBJECT in stage.store.stored.suspensions
