"""The rewrap job with fakes around it, and a clock that only its own pauses move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.rewrap_ports import Epochs
from keyvault_svc.domain.rewrapping import Rewrapping, RewrapResult, RewrapStep
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_key_store import FakeKeyStore
from tests.fakes.fake_rewrap_log import FakeRewrapLog
from tests.fakes.fake_transit_epochs import FakeTransitEpochs
from tests.fakes.fake_vault_line import FakeVaultLine
from tests.unit.keyvault_svc.samples import make_record

REQUEST: Final = "request-of-the-job"
GRACE: Final = timedelta(seconds=40)
LEASE_TIME: Final = timedelta(seconds=20)
OWNERS: Final = ("teams/payments", "teams/search", "users/alice", "users/bob")


class RewrapStage:
    """Two keys for each of four owners, sealed in epoch 1.

    Attributes:
        pauses: What the job has waited, in seconds.
        steps: What it has reported.
        on_pause: Called with each pause, before time passes.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.line = FakeVaultLine()
        self.names = [name_of(owner, key) for owner in OWNERS for key in ("a", "b")]
        self.store = FakeKeyStore(*(make_record(name=n) for n in self.names), line=self.line)
        self.epochs = FakeTransitEpochs(self.line, self.clock)
        self.log = FakeRewrapLog(self.line, self.store)
        self.pauses: list[float] = []
        self.steps: list[RewrapStep] = []
        self.on_pause: Callable[[float], None] = lambda _: None

    async def run(self, *, rate: float = 100.0, is_rotating: bool = True) -> RewrapResult:
        """Run a job of its own to its end."""
        job = Rewrapping(
            self.store,
            self.log,
            self.epochs,
            self.log,
            self.clock,
            self._sleep,
            grace=GRACE,
            lease_time=LEASE_TIME,
            records_per_second=rate,
        )
        return await job.run(REQUEST, self.steps.append, is_rotating=is_rotating)

    @property
    def lost(self) -> list[KeyName]:
        """Keys of which something does not open."""
        return [name for name in self.names if not all(map(self.epochs.opens, self._sealed(name)))]

    @property
    def is_done(self) -> bool:
        """Whether everything has epoch 2, and nothing older opens."""
        return (
            self.epochs.epochs == Epochs(2, 2)
            and self.log.progress is None
            and self.lost == []
            and all(
                list(self.store.versions[name]) == [self._revision(name)] for name in self.names
            )
        )

    def tags(self, name: KeyName) -> AuditTags:
        """Return the tags of the job's requests about *name*."""
        return AuditTags(REQUEST, str(name))

    async def _sleep(self, seconds: float) -> None:
        self.on_pause(seconds)
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)  # a job beside this one may run

    def _sealed(self, name: KeyName) -> frozenset[str]:
        record = self.store.current(name)
        assert record is not None
        assert record.ciphertexts
        return record.ciphertexts

    def _revision(self, name: KeyName) -> int:
        record = self.store.current(name)
        assert record is not None
        return record.revision


def name_of(owner: str, key_id: str) -> KeyName:
    """Return the name of a key."""
    return KeyName.parse(f"{owner}/keys/{key_id}", "name")
