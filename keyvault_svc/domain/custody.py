"""Use cases of owners: take keys into custody, rotate, switch, show and delete them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from keyvault_svc.domain.deletion_proof import DeletionProof
from keyvault_svc.domain.duplicates import Duplicates
from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyExistsError,
    KeyNotFoundError,
    KeyStateConflictError,
    TooManyKeysError,
)
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_change import KeyChange
from keyvault_svc.domain.key_policy import MAX_OVERLAP, KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_version import SealedKey
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, KeySealer, KeyStore
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.roles import Action
from keyvault_svc.domain.verifying import KeyVerifying
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

MAX_KEYS: Final = 100  # per owner; a listing reads each record once


class KeyCustody:
    """Keys, on behalf of the people who own them."""

    def __init__(
        self,
        store: KeyStore,
        sealer: KeySealer,
        duplicates: Duplicates,
        records: Records,
        verifying: KeyVerifying,
        policy: KeyPolicy,
        clock: Clock,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._duplicates = duplicates
        self._records = records
        self._verifying = verifying
        self._policy = policy
        self._clock = clock

    async def create(  # noqa: PLR0913 - one parameter per field that an owner fills in
        self,
        person: Person,
        name: KeyName,
        api_key: SecretBytes,
        request_id: str,
        *,
        expire_time: datetime | None = None,
        assurance: KeyAssurance = KeyAssurance.STANDARD,
        base_url: str = "",
        openai_key_id: str = "",
    ) -> KeyRecord:
        """Take a new key into custody, and have it verified.

        1. Look whether there is room and the plaintext is not there already.
        2. Queue the verification first: a record that nobody verifies would never serve, whereas
           an entry without a record is dropped by whoever claims it.
        3. Store the record.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyExistsError: There is a key of this name, or its deletion broke off within a minute.
            TooManyKeysError: The owner holds `MAX_KEYS`.
            KeyDuplicateError: The plaintext is in custody already.
            InvalidFieldError: The expiry is not in the future, or the deployment does not allow
                the base URL.
        """
        person.must(Action.ADD_KEY, name.owner)
        self._must_be_future(expire_time)
        self._policy.must_allow(base_url, "base_url")
        tags = AuditTags(request_id, str(name))
        ids = await self._store.list_ids(name.owner, request_id)  # (1)
        if name.key_id in ids and not await self._records.is_free(name, tags):
            raise KeyExistsError
        if len(set(ids) - {name.key_id}) >= MAX_KEYS:
            raise TooManyKeysError
        sealed = await self._sealed(name, api_key, tags)
        await self._verifying.queue(name, tags)  # (2)
        record = KeyRecord.new(
            name,
            sealed,
            person.name,
            self._clock.now(),
            expire_time=expire_time,
            assurance=assurance,
            base_url=base_url,
        ).identified(openai_key_id)
        await self._records.enlist(record, tags)
        try:
            record = await self._store.write(record, tags)  # (3)
        except KeyChangedMeanwhileError:
            pass
        else:
            # Whoever met the entry before the record was there may have dropped it.
            await self._verifying.ensure_queued(name, tags)
            await self._records.enlist(record, tags)
            return record
        await self._duplicates.release(sealed.fingerprint, name, tags)
        raise KeyExistsError

    async def get(self, person: Person, name: KeyName, request_id: str) -> KeyRecord:
        """Return one record.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
        """
        person.must(Action.READ_KEYS, name.owner)
        return await self._records.get(name, AuditTags(request_id, str(name)))

    async def list_keys(self, person: Person, owner: OwnerName, request_id: str) -> list[KeyRecord]:
        """Return the owner's records, sorted by name.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
        """
        person.must(Action.READ_KEYS, owner)
        names = [KeyName(owner, key_id) for key_id in await self._store.list_ids(owner, request_id)]
        records = [await self._store.read(name, AuditTags(request_id, str(name))) for name in names]
        now = self._clock.now()
        return [record.at(now, self._policy) for record in records if record is not None]

    async def rotate(
        self,
        person: Person,
        name: KeyName,
        api_key: SecretBytes,
        request_id: str,
        *,
        overlap: timedelta | None = None,
        openai_key_id: str = "",
    ) -> KeyRecord:
        """Bring a new plaintext, which serves once it is verified; see `KeyRecord.rotating`.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyDuplicateError: The plaintext is in custody under another name.
            KeyChangedMeanwhileError: Other writers did not let this one through.
            KeyStateConflictError: The key is being deleted.
            InvalidFieldError: The overlap is out of its range.
        """
        person.must(Action.ROTATE_KEY, name.owner)
        if overlap is not None and not timedelta() <= overlap <= MAX_OVERLAP:
            raise InvalidFieldError("overlap", f"must be from 0 to {MAX_OVERLAP.days} days")
        tags = AuditTags(request_id, str(name))
        await self._records.get(name, tags)  # before anything is noted of a key that is not there
        sealed = await self._sealed(name, api_key, tags)
        chosen = self._policy.overlap if overlap is None else overlap

        def rotated(record: KeyRecord) -> KeyRecord:
            newest = record.incoming or record.current
            if newest.holds(sealed.fingerprint):
                # A repeated call: it is only verified again.
                return record.identified(openai_key_id) if openai_key_id else record
            return record.rotating(sealed, self._clock.now(), chosen, openai_key_id)

        record = await self._records.change(name, tags, rotated)
        await self._verifying.queue(name, tags)
        return record

    async def undo_rotation(
        self, person: Person, name: KeyName, request_id: str, number: int = 0
    ) -> KeyRecord:
        """Take the last rotation back, the one that brought version *number*.

        See `KeyRecord.undone`.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: There is nothing to take back.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.UNDO_ROTATION, name.owner)
        return await self._change(
            name, request_id, lambda record: record.undone(self._clock.now(), number)
        )

    async def verify(self, person: Person, name: KeyName, request_id: str) -> KeyRecord:
        """Have a gateway try the key at OpenAI.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: No version of it may be tried in its state.
        """
        person.must(Action.VERIFY_KEY, name.owner)
        tags = AuditTags(request_id, str(name))
        record = await self._records.get(name, tags)
        if record.to_verify is None:
            raise KeyStateConflictError
        await self._verifying.queue(name, tags)
        return record

    async def disable(self, person: Person, name: KeyName, request_id: str) -> KeyRecord:
        """Switch a key off; it holds once this returns.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: The key is being deleted.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.DISABLE_KEY, name.owner)
        return await self._change(name, request_id, KeyRecord.disabled)

    async def enable(self, person: Person, name: KeyName, request_id: str) -> KeyRecord:
        """Switch a key on, and have it verified.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: It is not the switch that keeps it from serving.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.ENABLE_KEY, name.owner)
        return await self._change(name, request_id, KeyRecord.enabled)

    async def update(
        self, person: Person, name: KeyName, change: KeyChange, request_id: str
    ) -> KeyRecord:
        """Change what an owner may decide about a key; it holds once this returns.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: The key is being deleted.
            KeyChangedMeanwhileError: Other writers did not let this one through.
            InvalidFieldError: See `KeyChange.check`.
        """
        person.must(Action.UPDATE_KEY, name.owner)
        change.check(self._policy, self._clock.now())
        return await self._change(name, request_id, change.applied_to)

    async def delete(self, person: Person, name: KeyName, request_id: str) -> DeletionProof:
        """Destroy the key, its versions and its grants, and see that they are gone.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.DELETE_KEY, name.owner)
        return await self.destroy(name, request_id)

    async def destroy(self, name: KeyName, request_id: str) -> DeletionProof:
        """Destroy the key for a use case that knows who may have it done; see `delete`."""
        if name.key_id not in await self._store.list_ids(name.owner, request_id):
            raise KeyNotFoundError
        count = await self._records.delete(name, AuditTags(request_id, str(name)))
        return DeletionProof(name, count, self._clock.now())

    async def _sealed(self, name: KeyName, api_key: SecretBytes, tags: AuditTags) -> SealedKey:
        """Seal *api_key* once it is known that nobody else has it in custody."""
        sealed = await self._sealer.seal(name, api_key, tags)
        await self._duplicates.register(sealed.fingerprint, name, tags)
        return sealed

    async def _change(
        self, name: KeyName, request_id: str, change: Callable[[KeyRecord], KeyRecord]
    ) -> KeyRecord:
        tags = AuditTags(request_id, str(name))
        record = await self._records.change(name, tags, change)
        if record.awaits_verification:
            await self._verifying.queue(name, tags)
        return record

    def _must_be_future(self, time: datetime | None) -> None:
        if time is not None and time <= self._clock.now():
            raise InvalidFieldError("expire_time", "must lie in the future")
