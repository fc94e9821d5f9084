"""Reading and changing records by check-and-set, and destroying what they hold no longer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyNotFoundError,
    KeyRecordUnreadableError,
)
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import (
    AuditTags,
    KeyStore,
    QueuedVerification,
    RetirementQueue,
    VerificationQueue,
)
from keyvault_svc.domain.reconciled_keys import ReconciledKeys
from svc_runtime.clock import Clock
from svc_runtime.vault.errors import VaultUnavailableError

# A key may be changed by several writers at once; more rounds than this mean something loops.
_MAX_WRITE_ATTEMPTS: Final = 8
# When somebody else finishes a destruction that was begun here and broke off.
_FINISH_AFTER: Final = timedelta(minutes=1)


class Records:
    """The records as they stand now, with what time has done to them.

    A change may take several requests to Vault: some destroy, some have the key verified. Before
    the first of them an entry goes into the queue of retirements, so that one that breaks off is
    finished by any replica; see `tidy`.
    """

    def __init__(
        self,
        store: KeyStore,
        duplicates: Duplicates,
        retirements: RetirementQueue,
        verifications: VerificationQueue,
        reconciled: ReconciledKeys,
        policy: KeyPolicy,
        clock: Clock,
    ) -> None:
        self._store = store
        self._duplicates = duplicates
        self._retirements = retirements
        self._verifications = verifications
        self._reconciled = reconciled
        self._policy = policy
        self._clock = clock

    async def find(self, name: KeyName, tags: AuditTags) -> KeyRecord | None:
        """Return one record, by one read; None if there is none."""
        record = await self._store.read(name, tags)
        return None if record is None else record.at(self._clock.now(), self._policy)

    async def get(self, name: KeyName, tags: AuditTags) -> KeyRecord:
        """Return one record.

        Raises:
            KeyNotFoundError: There is no key of this name.
        """
        record = await self.find(name, tags)
        if record is None:
            raise KeyNotFoundError
        return record

    async def change(
        self, name: KeyName, tags: AuditTags, change: Callable[[KeyRecord], KeyRecord]
    ) -> KeyRecord:
        """Read, change, write; once more from the read when somebody else wrote in between.

        What the record holds no longer is destroyed before this returns.

        Raises:
            KeyNotFoundError: There is no key of this name.
            KeyChangedMeanwhileError: Other writers did not let this one through.
            ServiceError: What *change* raises.
        """
        for _ in range(_MAX_WRITE_ATTEMPTS):
            before = await self.get(name, tags)
            after = change(before).at(self._clock.now(), self._policy)
            if after == before:
                return before
            await self._plan(before, after, tags)
            try:
                written = await self._store.write(after, tags)
            except KeyChangedMeanwhileError:
                continue
            await self._destroy(before, written, tags)
            if not before.is_reconcilable:
                # Whoever met the entry before the record was there may have dropped it.
                await self.enlist(written, tags)
            return written
        raise KeyChangedMeanwhileError

    async def delete(self, name: KeyName, tags: AuditTags) -> int:
        """Destroy a key, and see that it is gone.

        1. Leave a record that holds nothing, so that nobody is served or writes from now on.
        2. Destroy every version.
        3. Forget the verification that may wait for it, and that it is reconciled: both name it.

        Returns:
            How many stored versions were destroyed.

        Raises:
            KeyNotFoundError: There is no key of this name.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        # One that cannot be read serves nobody, and its owner must be able to be rid of it.
        with contextlib.suppress(KeyRecordUnreadableError):
            await self.change(name, tags, lambda record: record.deleted(self._clock.now()))  # (1)
        count = await self._store.delete(name, tags)  # (2)
        await self._verifications.remove(name, tags)  # (3)
        await self._reconciled.remove(name, tags)
        return count

    async def enlist(self, record: KeyRecord, tags: AuditTags) -> None:
        """Note that *record* can be reconciled, if it can, before it is stored. Idempotent.

        Noted first, so that no key is left out by a call that breaks off; who looks for one that
        was not stored, or cannot be reconciled any more, forgets it.
        """
        if record.is_reconcilable:
            await self._reconciled.add(record.name, tags)

    async def tidy(self, name: KeyName, tags: AuditTags) -> bool:
        """Destroy what has to be gone by now, and finish what broke off. Idempotent.

        Returns:
            Whether all is done. It is not while a deletion is perhaps still under way: two at once
            could destroy what its owner puts in the deleted key's place.

        Raises:
            KeyChangedMeanwhileError: Other writers did not let this one through.
            VaultUnavailableError: Vault cannot answer, or not in time.
        """
        record = await self.find(name, tags)
        if record is None:
            return True
        if record.state is KeyState.DELETED:
            return await self._finish_deletion(record, tags)
        record = await self.change(name, tags, lambda r: r.without_retired(self._clock.now()))
        await self._store.destroy_superseded(record, tags)
        if record.awaits_verification:
            with contextlib.suppress(KeyChangedMeanwhileError):  # it is queued already
                await self._verifications.write(QueuedVerification(name, self._clock.now()), tags)
        return True

    async def is_free(self, name: KeyName, tags: AuditTags) -> bool:
        """Finish the deletion of *name*, if it was begun. Return whether the name is free."""
        record = await self.find(name, tags)
        if record is not None and record.state is KeyState.DELETED:
            return await self.tidy(name, tags)
        return record is None

    async def _finish_deletion(self, record: KeyRecord, tags: AuditTags) -> bool:
        now = self._clock.now()
        begin = record.current.destroy_time
        if begin is not None and now < begin + _FINISH_AFTER:
            return False
        # By check-and-set, so that of several that find it one goes on.
        await self._store.write(record.deleted(now), tags)
        try:
            async with asyncio.timeout(_FINISH_AFTER.total_seconds() / 2):
                await self._store.delete(record.name, tags)
        except TimeoutError:
            pass
        else:
            return True
        raise VaultUnavailableError

    async def _plan(self, before: KeyRecord, after: KeyRecord, tags: AuditTags) -> None:
        """Have any replica look at the key again, in case that this call breaks off."""
        due = _retire_time(after)
        if due is not None and due != _retire_time(before):
            await self._retirements.add(after.name, due, tags)
        is_new_to_verify = after.awaits_verification and not before.awaits_verification
        if is_new_to_verify or before.ciphertexts - after.ciphertexts:
            await self._retirements.add(after.name, self._clock.now() + _FINISH_AFTER, tags)
        if not before.is_reconcilable:
            await self.enlist(after, tags)

    async def _destroy(self, before: KeyRecord, after: KeyRecord, tags: AuditTags) -> None:
        if before.ciphertexts - after.ciphertexts:
            await self._store.destroy_superseded(after, tags)
        for fingerprint in before.fingerprints - after.fingerprints:
            await self._duplicates.release(fingerprint, after.name, tags)
        due = _retire_time(before)
        if due is not None and due != _retire_time(after):
            await self._retirements.cancel(after.name, due, tags)


def _retire_time(record: KeyRecord) -> datetime | None:
    """Return when the record's retiring version is to be destroyed; None without one."""
    return None if record.retiring is None else record.retiring.destroy_time
