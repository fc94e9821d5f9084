"""The job that moves every record to a new version of the transit key: a new epoch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.resealing import resealed, sealed_before
from keyvault_svc.domain.rewrap_ports import (
    Epochs,
    OwnerCatalogue,
    RewrapLog,
    RewrapProgress,
    TransitEpochs,
)
from svc_runtime.clock import Clock
from svc_runtime.vault.errors import VaultUnavailableError

_T = TypeVar("_T")

_MAX_WRITE_ATTEMPTS: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.5
_MAX_PAUSE_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 600.0  # how long Vault may be away before the job ends; it can resume
_SAVE_EVERY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RewrapStep:
    """What the job is at, for people.

    Attributes:
        phase: `rewrapping`, `checking` or `waiting`.
        done: Owners done in this phase; for `waiting`, seconds.
        total: Owners in all; for `waiting`, seconds.
        rewrapped: Records rewrapped so far.
    """

    phase: str
    done: int
    total: int
    rewrapped: int


@dataclass(frozen=True, slots=True)
class RewrapResult:
    """How the job ended.

    Attributes:
        epochs: The transit key's versions at the end.
        rewrapped: Records that this run rewrapped.
        unreadable: Records that could not be read. With any, the minimum was not raised.
    """

    epochs: Epochs
    rewrapped: int
    unreadable: tuple[KeyName, ...]


class Rewrapping:
    """Rotates the transit key, rewraps every record, then lets no older ciphertext open.

    Requests go on meanwhile: a record's ciphertext opens at every moment. Killed at any point, the
    next run goes on; what it finds done is not done twice.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that the job touches
        self,
        store: KeyStore,
        catalogue: OwnerCatalogue,
        epochs: TransitEpochs,
        log: RewrapLog,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
        *,
        grace: timedelta,
        lease_time: timedelta,
        records_per_second: float,
    ) -> None:
        """Prepare.

        Args:
            store: The records.
            catalogue: Whose they are.
            epochs: The transit key's versions.
            log: Where the progress is kept.
            clock: Source of time.
            sleep: Waits for a number of seconds.
            grace: How long something sealed before the rotation may take to be stored.
            lease_time: How long a ciphertext that was handed out may be opened.
            records_per_second: Upper bound of records read.
        """
        self._store = store
        self._catalogue = catalogue
        self._epochs = epochs
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._grace = grace
        self._lease_time = lease_time
        self._pause_seconds = 1 / records_per_second
        self._rewrapped = 0
        self._last_rewrap = clock.now()
        self._unreadable: list[KeyName] = []

    async def run(
        self,
        request_id: str,
        report: Callable[[RewrapStep], None],
        *,
        is_rotating: bool = True,
    ) -> RewrapResult:
        """Do the whole job, or what is left of it.

        1. Rotate the transit key. What is sealed from now on has the target epoch.
        2. Rewrap every record.
        3. Wait until nothing can be stored any more that was sealed before the rotation, and look
           at every record again; once more, until a look finds nothing to rewrap.
        4. Wait until every lease of an older ciphertext has ended, and raise the minimum.

        Args:
            request_id: What Vault's audit log shall show.
            report: Called with each step.
            is_rotating: Whether to begin with a rotation, rather than to take the records to the
                latest epoch that there is.

        Raises:
            VaultUnavailableError: Vault was away for ten minutes. Run it again.
            KeyChangedMeanwhileError: Another job runs.
        """
        progress = await self._begin(is_rotating=is_rotating)  # (1)
        self._last_rewrap = self._clock.now()  # of a run before this one, at the latest
        rotate_time = progress.rotate_time or self._clock.now()
        progress = await self._pass(progress, request_id, "rewrapping", report)  # (2)
        while not self._unreadable:  # (3)
            await self._wait_until(rotate_time + self._grace, report)
            before = self._rewrapped
            await self._pass(replace(progress, done_owner=""), request_id, "checking", report)
            if self._rewrapped == before:
                break
        if not self._unreadable:  # (4)
            await self._wait_until(self._last_rewrap + self._lease_time, report)
            await self._patiently(lambda: self._epochs.raise_minimum(progress.target))
        epochs = await self._patiently(self._epochs.current)
        if not self._unreadable:
            await self._patiently(self._log.clear)  # last: what fails after it would begin anew
        return RewrapResult(epochs, self._rewrapped, tuple(self._unreadable))

    async def _begin(self, *, is_rotating: bool) -> RewrapProgress:
        """Return the progress with its target, after a rotation if there has been none yet."""
        progress = await self._patiently(self._log.load)
        if progress is None:
            epochs = await self._patiently(self._epochs.current)
            begun = RewrapProgress(epochs.latest if is_rotating else epochs.latest - 1)
            progress = await self._patiently(lambda: self._log.save(begun))
        if progress.target:
            return progress
        first = progress.first_epoch

        async def rotated() -> Epochs:
            # Looked at each time: a rotation whose answer was lost has happened.
            if (await self._epochs.current()).latest <= first:
                await self._epochs.rotate()
            return await self._epochs.current()

        latest = (await self._patiently(rotated)).latest
        targeted = replace(progress, target=latest, rotate_time=self._clock.now())
        return await self._patiently(lambda: self._log.save(targeted))

    async def _pass(
        self,
        progress: RewrapProgress,
        request_id: str,
        phase: str,
        report: Callable[[RewrapStep], None],
    ) -> RewrapProgress:
        """Look at every record of the owners after `done_owner`, and rewrap what is older."""
        owners = await self._patiently(self._catalogue.owners)
        saved_time = self._clock.monotonic()
        for position, owner in enumerate(owners):
            if str(owner) > progress.done_owner:
                await self._rewrap_owner(owner, progress.target, request_id)
            report(RewrapStep(phase, position + 1, len(owners), self._rewrapped))
            is_saved = phase != "rewrapping" or self._unreadable
            if not is_saved and self._clock.monotonic() >= saved_time + _SAVE_EVERY_SECONDS:
                done = replace(progress, done_owner=max(str(owner), progress.done_owner))
                progress = await self._patiently(partial(self._log.save, done))
                saved_time = self._clock.monotonic()
        return progress

    async def _rewrap_owner(self, owner: OwnerName, target: int, request_id: str) -> None:
        ids = await self._patiently(lambda: self._store.list_ids(owner, request_id))
        for key_id in ids:
            name = KeyName(owner, key_id)
            tags = AuditTags(request_id, str(name))
            try:
                if await self._rewrap(name, target, tags):
                    self._rewrapped += 1
            except KeyRecordUnreadableError:
                self._unreadable.append(name)
            await self._sleep(self._pause_seconds)

    async def _rewrap(self, name: KeyName, target: int, tags: AuditTags) -> bool:
        """Take one record to the target epoch; return whether it had to be."""
        for _ in range(_MAX_WRITE_ATTEMPTS):
            record = await self._patiently(lambda: self._store.read(name, tags))
            old = [s.ciphertext for s in sealed_before(record, target)] if record else []
            if record is None or not old:
                return False
            new = await self._patiently(partial(self._epochs.rewrap, name, old, tags))
            renewed = resealed(record, dict(zip(old, new, strict=True)))
            try:
                written = await self._patiently(partial(self._store.write, renewed, tags))
            except KeyChangedMeanwhileError:
                continue  # its owner was faster: what they wrote may be old or new
            finally:
                self._last_rewrap = self._clock.now()  # or it may have been
            await self._patiently(partial(self._store.destroy_superseded, written, tags))
            return True
        raise KeyChangedMeanwhileError

    async def _wait_until(self, time: datetime, report: Callable[[RewrapStep], None]) -> None:
        total = max((time - self._clock.now()).total_seconds(), 0.0)
        while (left := (time - self._clock.now()).total_seconds()) > 0:
            report(RewrapStep("waiting", round(total - left), round(total), self._rewrapped))
            await self._sleep(min(left, 1.0))

    async def _patiently(self, action: Callable[[], Awaitable[_T]]) -> _T:
        """Return what *action* does, however long Vault is away, to ten minutes."""
        give_up = self._clock.monotonic() + _PATIENCE_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await action()
            except VaultUnavailableError:
                if self._clock.monotonic() >= give_up:
                    raise
            await self._sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)
