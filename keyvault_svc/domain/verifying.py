"""Use cases of verification: queue it, hand it to a gateway, and take what OpenAI said."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.controls import Controls
from keyvault_svc.domain.controls_store import ControlsStore
from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyNotFoundError,
    KeyRecordUnreadableError,
    KeyStateConflictError,
    VerificationNotFoundError,
)
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import KeyVersion, Verification, VerificationOutcome
from keyvault_svc.domain.lease import Lease
from keyvault_svc.domain.lease_id import new_lease_id
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags, QueuedVerification, VerificationQueue
from keyvault_svc.domain.records import Records
from svc_runtime.clock import Clock
from svc_runtime.spiffe_id import SpiffeId

_CLAIM: Final = timedelta(minutes=1)  # two calls of OpenAI, with their time-outs
_FIRST_RETRY: Final = timedelta(seconds=5)
_MAX_RETRY: Final = timedelta(minutes=10)
_MAX_LOOKS: Final = 20  # entries that one claim reads; the next claim looks at others
_MAX_WRITE_ATTEMPTS: Final = 8
# A record that is not there yet: its writer queues first and writes then.
_MISSING_PAUSE: Final = timedelta(seconds=1)
_MISSING_TRIES: Final = 5
# A refused call that was not the key's fault must not have the key tried for every such call.
_RECHECK_PAUSE: Final = timedelta(seconds=10)


def retry_pause(attempt: int) -> timedelta:
    """Return how long to wait after OpenAI could not be reached *attempt* times, from 1."""
    doublings = min(attempt - 1, 10)  # far past the maximum, and far from overflowing
    pause: timedelta = _FIRST_RETRY * 2**doublings
    return min(_MAX_RETRY, pause)


class KeyVerifying:
    """Verifications of keys at OpenAI, which only gateways reach."""

    def __init__(
        self,
        queue: VerificationQueue,
        records: Records,
        controls: ControlsStore,
        handoff: Handoff,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._records = records
        self._controls = controls
        self._handoff = handoff
        self._notifier = notifier
        self._clock = clock

    async def queue(self, name: KeyName, tags: AuditTags) -> None:
        """Have *name* verified now. A claim under way is forgotten: it may be of another version.

        Raises:
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        wanted = QueuedVerification(name, self._clock.now())
        for _ in range(_MAX_WRITE_ATTEMPTS):
            there = await self._queue.find(name, tags)
            try:
                await self._queue.write(
                    wanted if there is None else there.again(wanted.due_time), tags
                )
            except KeyChangedMeanwhileError:
                continue
            return
        raise KeyChangedMeanwhileError

    async def ensure_queued(self, name: KeyName, tags: AuditTags) -> None:
        """Have *name* verified, unless that is queued already."""
        with contextlib.suppress(KeyChangedMeanwhileError):
            await self._queue.write(QueuedVerification(name, self._clock.now()), tags)

    async def recheck(self, name: KeyName, tags: AuditTags) -> None:
        """Have *name* verified because OpenAI refused a call; every ten seconds at most."""
        entry = QueuedVerification(name, self._clock.now(), is_recheck=True)
        with contextlib.suppress(KeyChangedMeanwhileError):  # it is queued already
            await self._queue.write(entry, tags)

    async def claim(self, gateway: SpiffeId, request_id: str) -> Lease | None:
        """Hand out one verification that is due.

        Vault's audit log shows the gateway itself as the app of the lease. What operators have
        suspended stays queued, and is due once it goes on.

        Returns:
            A lease whose purpose it is; None when nothing is due.
        """
        ids = await self._queue.ids()
        if not ids:
            return None
        controls = await self._controls.read(AuditTags(request_id, ""))
        random.shuffle(ids)  # several gateways ask at once
        for entry_id in ids[:_MAX_LOOKS]:
            try:
                lease = await self._claim_entry(entry_id, controls, gateway, request_id)
            except KeyRecordUnreadableError:
                continue  # it must not keep the others from being verified
            if lease is not None:
                return lease
        return None

    async def _claim_entry(
        self, entry_id: str, controls: Controls, gateway: SpiffeId, request_id: str
    ) -> Lease | None:
        entry = await self._queue.read(entry_id, AuditTags(request_id, ""))
        if entry is None or not entry.is_due(self._clock.now()):
            return None
        if controls.suspended(entry.key, gateway) is not None:
            return None
        return await self._claim(entry, gateway, request_id)

    async def _claim(
        self, entry: QueuedVerification, gateway: SpiffeId, request_id: str
    ) -> Lease | None:
        """Claim *entry*, if it is still what it was.

        1. Read the record once, under the lease's id.
        2. Store the claim, by check-and-set: one gateway gets it.
        3. Hand the sealed key over.
        """
        lease_id = new_lease_id(self._clock.now())
        tags = AuditTags(request_id, str(entry.key), lease_id, str(gateway))
        about = AuditTags(
            request_id, str(entry.key)
        )  # a lease has one read, and no other step here
        record = await self._records.find(entry.key, tags)  # (1)
        now = self._clock.now()
        version = None if record is None else _to_try(record, entry)
        try:
            if record is None and entry.attempt < _MISSING_TRIES:
                await self._queue.write(entry.again(now + _MISSING_PAUSE, entry.attempt + 1), about)
            elif record is None or version is None:
                await self._remove(entry.key, about)
            elif now < (later := _earliest(entry, version)):
                # A version that waits must not wait for a recheck of another.
                is_waiting = record.awaits_verification
                put_off = entry.again(now) if is_waiting else replace(entry, due_time=later)
                await self._queue.write(put_off, about)
            else:
                claimed = entry.claimed(tags.lease_id, version.number, now + _CLAIM)
                await self._queue.write(claimed, about)  # (2)
                return await self._handoff.lease(record, version, tags)  # (3)
        except KeyChangedMeanwhileError:
            pass  # somebody else has it
        return None

    async def report(
        self, name: KeyName, lease_id: str, outcome: VerificationOutcome, request_id: str
    ) -> KeyRecord | None:
        """Take what OpenAI said, and tell the owner if it rejected a key that it had not before.

        Returns:
            The changed record; None when it has gone meanwhile.

        Raises:
            VerificationNotFoundError: *lease_id* is not the claim under way.
            KeyChangedMeanwhileError: Other writers did not let this one through; the claim stands.
        """
        tags = AuditTags(request_id, str(name))  # the lease has had its one read
        entry = await self._queue.find(name, tags)
        if entry is None or not lease_id or entry.lease_id != lease_id:
            raise VerificationNotFoundError
        now = self._clock.now()
        verification = Verification(outcome, now)
        rejected: KeyRecord | None = None

        def tried(record: KeyRecord) -> KeyRecord:
            nonlocal rejected
            after = record.tried(entry.number, verification, now)
            is_news = not _is_rejected(record, entry.number) and _is_rejected(after, entry.number)
            rejected = after if is_news else None
            return after

        record: KeyRecord | None
        try:
            record = await self._records.change(name, tags, tried)
        except (KeyNotFoundError, KeyStateConflictError):
            record = rejected = None  # deleted, switched off or rotated again in the meantime
        finally:
            # Whatever became of the record: it may be stored, and OpenAI has said so. Nobody would
            # tell it later, for then it is no news any more.
            if rejected is not None:
                self._tell_owner(rejected, entry.number, now)
        await self._conclude(entry, record, outcome, tags, now)
        return record

    def _tell_owner(self, record: KeyRecord, number: int, now: datetime) -> None:
        place = "current" if record.current.number == number else "incoming"
        facts = {"place": place, "version": str(number)}
        name = record.name
        self._notifier.notify(
            Event(EventType.KEY_REJECTED, name.owner, str(name), "", "", now, facts)
        )

    async def _conclude(
        self,
        entry: QueuedVerification,
        record: KeyRecord | None,
        outcome: VerificationOutcome,
        tags: AuditTags,
        now: datetime,
    ) -> None:
        """Take *entry* out of the queue, or put it back."""
        try:
            if outcome is VerificationOutcome.OPENAI_UNREACHABLE and record is not None:
                attempt = entry.attempt + 1
                await self._queue.write(entry.again(now + retry_pause(attempt), attempt), tags)
            elif record is not None and record.awaits_verification:
                await self._queue.write(entry.again(now), tags)
            else:
                await self._remove(entry.key, tags)
        except KeyChangedMeanwhileError:
            pass  # queued anew meanwhile: that entry stands

    async def _remove(self, name: KeyName, tags: AuditTags) -> None:
        """Take the entry of *name* out of the queue.

        Vault removes whatever is there, so an entry that was queued meanwhile may go with it.
        Whoever queues has changed the record before: looking at it afterwards finds that out.
        """
        await self._queue.remove(name, tags)
        record = await self._records.find(name, tags)
        if record is not None and record.awaits_verification:
            await self.ensure_queued(name, tags)


def _to_try(record: KeyRecord, entry: QueuedVerification) -> KeyVersion | None:
    """Return the version that *entry* asks to be tried; None when there is nothing to try."""
    if not entry.is_recheck:
        return record.to_verify
    current = record.current  # OpenAI refused a call with the key that serves
    return current if current.may_be_tried else None


def _is_rejected(record: KeyRecord, number: int) -> bool:
    return any(v.number == number and v.state is KeyState.REJECTED for v in record.versions)


def _earliest(entry: QueuedVerification, version: KeyVersion) -> datetime:
    """Return when *version* may be tried for *entry*: rechecks keep a distance."""
    if not entry.is_recheck or version.verification is None:
        return entry.due_time
    return version.verification.verify_time + _RECHECK_PAUSE
