"""Custody over fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keyvault_svc.domain.custody import KeyCustody, Person
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_key_sealer import FakeKeySealer
from tests.fakes.fake_key_store import FakeKeyStore
from tests.unit.keyvault_svc.samples import KEY

ALICE: Final = Person("alice")
TEAM_KEY: Final = KeyName.parse("teams/payments/keys/openai", "name")
REQUEST: Final = "request-0001"


@dataclass
class Stage:
    """The use cases, and what they work on."""

    store: FakeKeyStore = field(default_factory=FakeKeyStore)
    sealer: FakeKeySealer = field(default_factory=FakeKeySealer)
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def custody(self) -> KeyCustody:
        """Return the use cases."""
        return KeyCustody(self.store, self.sealer, self.clock)

    def stored(self, name: KeyName = KEY) -> KeyRecord:
        """Return what is stored under *name*."""
        record = self.store.current(name)
        assert record is not None
        return record
