"""Use cases of owners: consent that apps use a key, and withdraw that."""

from __future__ import annotations

import secrets

from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.records import Records
from svc_runtime.clock import Clock
from svc_runtime.service_error import InvalidFieldError


class KeyConsent:
    """Grants, on behalf of the people who own the keys."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def create_grant(
        self, person: Person, name: KeyName, terms: GrantTerms, request_id: str
    ) -> Grant:
        """Record the consent to *terms*.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: The key is being deleted.
            GrantExistsError: The app holds an active grant.
            TooManyGrantsError: The key has too many active grants.
            InvalidFieldError: The expiry is not in the future.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must_act_for(name.owner)
        now = self._clock.now()
        if terms.expire_time is not None and terms.expire_time <= now:
            raise InvalidFieldError("grant.expire_time", "must lie in the future")
        grant = Grant(secrets.token_hex(8), terms, now, person.name)
        tags = AuditTags(request_id, str(name))
        await self._records.change(name, tags, lambda record: record.with_grant(grant, now))
        return grant

    async def list_grants(
        self, person: Person, name: KeyName, request_id: str
    ) -> tuple[Grant, ...]:
        """Return the key's grants, the oldest first.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
        """
        person.must_act_for(name.owner)
        return (await self._records.get(name, AuditTags(request_id, str(name)))).grants

    async def revoke_grant(self, person: Person, name: GrantName, request_id: str) -> Grant:
        """Withdraw a consent; it holds once this returns.

        Raises:
            NotTheOwnerError: The person does not act for the owner.
            KeyNotFoundError: There is no key of this name.
            GrantNotFoundError: The key has no such grant.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must_act_for(name.key.owner)
        now = self._clock.now()
        record = await self._records.change(
            name.key,
            AuditTags(request_id, str(name.key)),
            lambda record: record.without_consent(name.grant_id, now, person.name),
        )
        return record.grant(name.grant_id)
