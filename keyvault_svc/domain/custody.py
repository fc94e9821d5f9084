"""Use cases of owners: take keys into custody, rotate, show and delete them, and consent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keyvault_svc.domain.errors import (
    KeyChangedMeanwhileError,
    KeyExistsError,
    KeyNotFoundError,
    NotTheOwnerError,
    TooManyKeysError,
)
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord, KeyState, SealedKey
from keyvault_svc.domain.names import GrantName, KeyName, OwnerKind, OwnerName
from keyvault_svc.domain.ports import AuditTags, KeySealer, KeyStore
from svc_runtime.clock import Clock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import InvalidFieldError

MAX_KEYS: Final = 100  # per owner; a listing reads each record once
# Grants of one key may be edited at the same time; more rounds than this mean something loops.
_MAX_WRITE_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Person:
    """A verified person.

    Attributes:
        name: The name under which the person owns keys: `users/<name>`.
        groups: Teams that the person acts for: `teams/<group>`.
    """

    name: str
    groups: frozenset[str] = frozenset()

    def must_act_for(self, owner: OwnerName) -> None:
        """Refuse unless the person may act for *owner*.

        Raises:
            NotTheOwnerError: They may not. It is the same whether or not *owner* holds keys.
        """
        acting_as = {OwnerKind.USER: {self.name}, OwnerKind.TEAM: self.groups}[owner.kind]
        if owner.owner_id not in acting_as:
            raise NotTheOwnerError


class KeyCustody:
    """Keys and grants, on behalf of the people who own them."""

    def __init__(self, store: KeyStore, sealer: KeySealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    async def create(
        self, person: Person, name: KeyName, api_key: SecretBytes, request_id: str
    ) -> KeyRecord:
        """Take a new key into custody.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyExistsError: There is a key of this name.
            TooManyKeysError: The owner holds `MAX_KEYS`.
        """
        person.must_act_for(name.owner)
        ids = await self._store.list_ids(name.owner, request_id)
        if name.key_id in ids:
            raise KeyExistsError
        if len(ids) >= MAX_KEYS:
            raise TooManyKeysError
        tags = AuditTags(request_id, str(name))
        sealed = await self._sealer.seal(name, api_key, tags)
        now = self._clock.now()
        record = KeyRecord(name, KeyState.ACTIVE, sealed, 1, now, now, person.name)
        try:
            return await self._store.write(record, tags)
        except KeyChangedMeanwhileError:
            pass
        raise KeyExistsError

    async def get(self, person: Person, name: KeyName, request_id: str) -> KeyRecord:
        """Return one record.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
        """
        person.must_act_for(name.owner)
        record = await self._store.read(name, AuditTags(request_id, str(name)))
        if record is None:
            raise KeyNotFoundError
        return record

    async def list_keys(self, person: Person, owner: OwnerName, request_id: str) -> list[KeyRecord]:
        """Return the owner's records, sorted by name.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
        """
        person.must_act_for(owner)
        names = [KeyName(owner, key_id) for key_id in await self._store.list_ids(owner, request_id)]
        records = [await self._store.read(name, AuditTags(request_id, str(name))) for name in names]
        return [record for record in records if record is not None]

    async def rotate(
        self, person: Person, name: KeyName, api_key: SecretBytes, request_id: str
    ) -> KeyRecord:
        """Replace the plaintext, then destroy every version that held the one before.

        When the call breaks between the two, calling it again with the same plaintext destroys
        what was left.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must_act_for(name.owner)
        tags = AuditTags(request_id, str(name))
        fingerprint = await self._sealer.fingerprint(api_key, tags)
        record = await self.get(person, name, request_id)
        if record.sealed.fingerprint != fingerprint:
            sealed = await self._sealer.seal(name, api_key, tags)
            record = await self._update(
                person, name, request_id, lambda current: self._rotated(current, sealed)
            )
        await self._store.destroy_superseded(record, tags)
        return record

    async def delete(self, person: Person, name: KeyName, request_id: str) -> None:
        """Destroy the key, its versions and its grants.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
        """
        person.must_act_for(name.owner)
        if name.key_id not in await self._store.list_ids(name.owner, request_id):
            raise KeyNotFoundError
        await self._store.delete(name, AuditTags(request_id, str(name)))

    async def create_grant(
        self, person: Person, name: KeyName, terms: GrantTerms, request_id: str
    ) -> Grant:
        """Record the consent to *terms*.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            GrantExistsError: The app holds an active grant.
            TooManyGrantsError: The key has too many active grants.
            InvalidFieldError: The expiry is not in the future.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        now = self._clock.now()
        if terms.expire_time is not None and terms.expire_time <= now:
            raise InvalidFieldError("grant.expire_time", "must lie in the future")
        grant = Grant(secrets.token_hex(8), terms, now, person.name)
        await self._update(person, name, request_id, lambda record: record.with_grant(grant, now))
        return grant

    async def list_grants(
        self, person: Person, name: KeyName, request_id: str
    ) -> tuple[Grant, ...]:
        """Return the key's grants, the oldest first; see `get` for what it raises."""
        return (await self.get(person, name, request_id)).grants

    async def revoke_grant(self, person: Person, name: GrantName, request_id: str) -> Grant:
        """Withdraw a consent; it holds once this returns.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            GrantNotFoundError: The key has no such grant.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        now = self._clock.now()
        record = await self._update(
            person,
            name.key,
            request_id,
            lambda record: record.without_consent(name.grant_id, now, person.name),
        )
        return record.grant(name.grant_id)

    def _rotated(self, record: KeyRecord, sealed: SealedKey) -> KeyRecord:
        """Return *record* with *sealed*, unless another call has put the same plaintext there."""
        if record.sealed.fingerprint == sealed.fingerprint:
            return record
        return record.rotated(sealed, self._clock.now())

    async def _update(
        self,
        person: Person,
        name: KeyName,
        request_id: str,
        change: Callable[[KeyRecord], KeyRecord],
    ) -> KeyRecord:
        """Read, change, write; once more from the read when somebody else wrote in between."""
        for _ in range(_MAX_WRITE_ATTEMPTS):
            record = await self.get(person, name, request_id)
            changed = change(record)
            if changed == record:
                return record
            try:
                return await self._store.write(changed, AuditTags(request_id, str(name)))
            except KeyChangedMeanwhileError:
                continue
        raise KeyChangedMeanwhileError
