"""Use cases of owners: consent that apps use a key, change that, and withdraw it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from keyvault_svc.domain.consent_rules import ConsentRules, check_end
from keyvault_svc.domain.consent_text import ConsentText
from keyvault_svc.domain.errors import GrantEndedError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.records import Records
from keyvault_svc.domain.roles import Action
from svc_runtime.clock import Clock


class KeyConsent:
    """Grants, on behalf of the people who own the keys."""

    def __init__(
        self,
        records: Records,
        store: KeyStore,
        rules: ConsentRules,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._records = records
        self._store = store
        self._rules = rules
        self._notifier = notifier
        self._clock = clock

    @property
    def text(self) -> ConsentText:
        """What owners must agree to before they grant more than before."""
        return self._rules.text

    async def create_grant(
        self,
        person: Person,
        name: KeyName,
        terms: GrantTerms,
        consent_text_version: str,
        request_id: str,
    ) -> Grant:
        """Record the consent to *terms*.

        Raises:
            NotTheOwnerError: The person may not grant for the owner.
            StepUpRequiredError: The person's login is not fresh or strong enough.
            ConsentTextOutdatedError: The person agreed to another text.
            KeyNotFoundError: There is no key of this name.
            KeyStateConflictError: The key is being deleted.
            GrantExistsError: The app holds an active grant.
            TooManyGrantsError: The key has too many active grants.
            InvalidFieldError: The terms have ended, or go beyond a ceiling.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.CREATE_GRANT, name.owner)
        self.check(person, terms, consent_text_version)
        return await self.record(self.consent_of(person, terms), name, request_id)

    def check(self, person: Person, terms: GrantTerms, consent_text_version: str) -> None:
        """Refuse what cannot become a grant; see `create_grant`."""
        now = self._clock.now()
        self._rules.check_terms(terms, now, now)
        self._rules.check_giver(person, consent_text_version)

    def consent_of(self, person: Person, terms: GrantTerms, grant_request_id: str = "") -> Grant:
        """Return the grant by which *person* consents to *terms* now."""
        return Grant(
            secrets.token_hex(8),
            terms,
            self._clock.now(),
            person.name,
            consent_text_version=self.text.version,
            request_id=grant_request_id,
        )

    async def record(self, grant: Grant, name: KeyName, request_id: str) -> Grant:
        """Record *grant*; where its request for a grant led to one before, return that one."""
        tags = AuditTags(request_id, str(name))
        record = await self._records.change(
            name, tags, lambda record: _with_grant(record, grant, self._clock.now())
        )
        recorded = _answer_to(grant.request_id, record) or grant
        if recorded is grant:
            self._tell(GrantName(name, grant.grant_id), grant, "made", grant.creator)
        return recorded

    async def update_grant(
        self,
        person: Person,
        name: GrantName,
        change: Callable[[GrantTerms], GrantTerms],
        consent_text_version: str,
        request_id: str,
    ) -> Grant:
        """Change the terms of a grant by *change*; they hold once this returns.

        Raises:
            NotTheOwnerError: The person may not change grants of the owner.
            KeyNotFoundError: There is no key of this name.
            GrantNotFoundError: The key has no such grant.
            GrantEndedError: The grant was revoked, or has expired.
            StepUpRequiredError: The change widens, and the login is not fresh or strong enough.
            ConsentTextOutdatedError: The change widens, and the person agreed to another text.
            InvalidFieldError: The new terms have ended; or they widen, beyond a ceiling.
            KeyStateConflictError: The key is being deleted.
            TooManyGrantsError: The terms are too long.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.UPDATE_GRANT, name.key.owner)
        before: GrantTerms | None = None

        def updated(record: KeyRecord) -> KeyRecord:
            nonlocal before
            grant = record.grant(name.grant_id)
            before = grant.terms
            after = self._changed(person, grant, change(before), consent_text_version)
            return record if after is grant else record.with_terms(after, self._clock.now())

        tags = AuditTags(request_id, str(name.key))
        grant = (await self._records.change(name.key, tags, updated)).grant(name.grant_id)
        if before is not None and grant.terms != before:
            deed = "widened" if grant.terms.widens(before) else "narrowed"
            self._tell(name, grant, deed, person.name)
        return grant

    async def list_grants(
        self, person: Person, name: KeyName, request_id: str
    ) -> tuple[Grant, ...]:
        """Return the key's grants, the oldest first.

        Raises:
            NotTheOwnerError: The person may not see the owner's grants.
            KeyNotFoundError: There is no key of this name.
        """
        person.must(Action.READ_GRANTS, name.owner)
        return (await self._records.get(name, AuditTags(request_id, str(name)))).grants

    async def list_grants_of(
        self, person: Person, owner: OwnerName, request_id: str
    ) -> list[tuple[KeyName, Grant]]:
        """Return the grants on all keys of *owner* with their keys, the oldest first.

        Raises:
            NotTheOwnerError: The person may not see the owner's grants.
        """
        person.must(Action.READ_GRANTS, owner)
        grants = []
        for key_id in await self._store.list_ids(owner, request_id):
            name = KeyName(owner, key_id)
            record = await self._records.find(name, AuditTags(request_id, str(name)))
            grants += [(name, grant) for grant in (record.grants if record else ())]
        return sorted(grants, key=lambda held: held[1].create_time)

    async def revoke_grant(self, person: Person, name: GrantName, request_id: str) -> Grant:
        """Withdraw a consent; it holds once this returns.

        Raises:
            NotTheOwnerError: The person may not revoke grants of the owner.
            KeyNotFoundError: There is no key of this name.
            GrantNotFoundError: The key has no such grant.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.REVOKE_GRANT, name.key.owner)
        now = self._clock.now()
        record = await self._records.change(
            name.key,
            AuditTags(request_id, str(name.key)),
            lambda record: record.without_consent(name.grant_id, now, person.name),
        )
        grant = record.grant(name.grant_id)
        if (grant.revoke_time, grant.revoker) == (now, person.name):
            self._tell(name, grant, "revoked", person.name)
        return grant

    def _changed(
        self, person: Person, grant: Grant, terms: GrantTerms, consent_text_version: str
    ) -> Grant:
        """Return *grant* with *terms*; *grant* itself where it has them."""
        now = self._clock.now()
        if not grant.is_active(now):
            raise GrantEndedError
        if terms == grant.terms:
            return grant
        if not terms.widens(grant.terms):
            # Beyond a ceiling or not, what allows less must never be refused.
            check_end(terms, now)
            return grant.changed(terms, now, person.name)
        # What cannot be granted is told before anybody reads a text for it, or logs in again.
        self._rules.check_terms(terms, grant.create_time, now)
        self._rules.check_giver(person, consent_text_version)
        changed = grant.changed(terms, now, person.name)
        return replace(changed, consent_text_version=self.text.version)

    def _tell(self, name: GrantName, grant: Grant, change: str, by: str) -> None:
        self._notifier.notify(
            Event(
                EventType.GRANT_CHANGED,
                name.key.owner,
                str(name.key),
                str(name),
                str(grant.terms.app),
                self._clock.now(),
                {"change": change, "by": by},
            )
        )


def _with_grant(record: KeyRecord, grant: Grant, now: datetime) -> KeyRecord:
    if _answer_to(grant.request_id, record) is not None:
        return record
    return record.with_grant(grant, now)


def _answer_to(grant_request_id: str, record: KeyRecord) -> Grant | None:
    """Return the grant of *record* that answers a request for a grant; None if none does."""
    if not grant_request_id:
        return None
    return next((g for g in record.grants if g.request_id == grant_request_id), None)
