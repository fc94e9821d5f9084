"""Use cases of requests for grants: app developers ask, owners decide."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from keyvault_svc.domain.consent import KeyConsent
from keyvault_svc.domain.consent_rules import ConsentRules
from keyvault_svc.domain.errors import GrantRequestNotFoundError, KeyChangedMeanwhileError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.grant_requests import (
    GrantRequest,
    GrantRequests,
    check_answer,
    check_reason,
    check_size,
)
from keyvault_svc.domain.names import GrantRequestName, KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, GrantRequestStore
from keyvault_svc.domain.roles import Action
from svc_runtime.clock import Clock
from svc_runtime.service_error import InvalidFieldError, ServiceError
from svc_runtime.vault.errors import VaultUnavailableError

_MAX_WRITE_ATTEMPTS: Final = 8


class GrantAsking:
    """Requests for grants. Nothing here looks at a key until its owner decides."""

    def __init__(
        self,
        store: GrantRequestStore,
        consent: KeyConsent,
        rules: ConsentRules,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._store = store
        self._consent = consent
        self._rules = rules
        self._notifier = notifier
        self._clock = clock

    async def ask(
        self, person: Person, key: KeyName, terms: GrantTerms, reason: str, request_id: str
    ) -> GrantRequest:
        """Record that *person* asks for a grant on *key*, and tell its owner.

        The answer is the same whether or not there is such an owner or key.

        Raises:
            InvalidFieldError: The terms could not be granted, or the reason breaks its rule.
            TooManyGrantRequestsError: Too many are open.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.ASK_FOR_GRANT, key.owner)
        now = self._clock.now()
        check_size(terms)
        self._rules.check_terms(terms, now, now)
        request = GrantRequest(
            secrets.token_hex(8), key, terms, check_reason(reason), person.name, now
        )
        tags = AuditTags(request_id, str(key))
        await self._change(key.owner, tags, lambda requests: requests.added(request))
        self._notifier.notify(
            Event(
                EventType.GRANT_REQUESTED,
                key.owner,
                str(key),
                "",
                str(terms.app),
                now,
                {"request": str(GrantRequestName(key, request.request_id))},
            )
        )
        return request

    async def get(self, person: Person, name: GrantRequestName, request_id: str) -> GrantRequest:
        """Return one request, to who asked or who may see the owner's requests.

        Raises:
            GrantRequestNotFoundError: There is none, or it is none of the person's business.
        """
        request = await self._find(name, request_id)
        if request.requester != person.name and not person.may(
            Action.READ_GRANT_REQUESTS, name.key.owner
        ):
            raise GrantRequestNotFoundError
        return request

    async def list_requests(
        self, person: Person, owner: OwnerName, request_id: str
    ) -> tuple[GrantRequest, ...]:
        """Return the requests to *owner*, the oldest first.

        Raises:
            NotTheOwnerError: The person may not see them.
        """
        person.must(Action.READ_GRANT_REQUESTS, owner)
        requests = await self._store.read(owner, AuditTags(request_id, ""))
        return requests.at(self._clock.now()).requests

    async def approve(
        self,
        person: Person,
        name: GrantRequestName,
        terms: GrantTerms | None,
        consent_text_version: str,
        answer: str,
        request_id: str,
    ) -> Grant:
        """Make the grant that is asked for, with *terms* in place of the asked ones if given.

        1. Mark the request as approved: from now on nobody can decline it.
        2. Make the grant. It tells which request it answers, so there is never a second one.
        3. Note the grant in the request. Where this broke off after (1), whoever approves the
           request once more goes on.

        Raises:
            NotTheOwnerError: The person may not decide.
            GrantRequestNotFoundError: There is no such request.
            GrantRequestDecidedError: It was declined, or has led to a grant.
            InvalidFieldError: The terms are for another app, or cannot be granted.
            ServiceError: As `KeyConsent.create_grant`; the request is open again then.
        """
        person.must(Action.DECIDE_GRANT_REQUEST, name.key.owner)
        answer = check_answer(answer)
        asked = await self._find(name, request_id)
        if terms is not None and terms.app != asked.terms.app:
            raise InvalidFieldError("grant.app", "must be the app that the request is for")
        granted = terms or asked.terms
        self._consent.check(person, granted, consent_text_version)
        now = self._clock.now()
        approved = await self._decide(
            name, request_id, lambda request: request.approved(person.name, answer, now)
        )  # (1)
        try:
            grant = await self._consent.record(
                self._consent.consent_of(person, granted, name.request_id), name.key, request_id
            )  # (2)
        except VaultUnavailableError:
            raise  # there may be a grant
        except ServiceError:
            await self._decide(name, request_id, lambda request: request.reopened(approved))
            raise
        await self._decide(name, request_id, lambda request: request.granted(grant.grant_id))  # (3)
        return grant

    async def decline(
        self, person: Person, name: GrantRequestName, answer: str, request_id: str
    ) -> GrantRequest:
        """Decline a request.

        Raises:
            NotTheOwnerError: The person may not decide.
            GrantRequestNotFoundError: There is no such request.
            GrantRequestDecidedError: It was approved.
            InvalidFieldError: The answer breaks its rule.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.DECIDE_GRANT_REQUEST, name.key.owner)
        answer, now = check_answer(answer), self._clock.now()
        return await self._decide(
            name, request_id, lambda request: request.declined(person.name, answer, now)
        )

    async def _find(self, name: GrantRequestName, request_id: str) -> GrantRequest:
        tags = AuditTags(request_id, str(name.key))
        requests = await self._store.read(name.key.owner, tags)
        return requests.at(self._clock.now()).found(name.request_id, name.key)

    async def _decide(
        self,
        name: GrantRequestName,
        request_id: str,
        decide: Callable[[GrantRequest], GrantRequest],
    ) -> GrantRequest:
        """Change one request, and return it."""
        changed = await self._change(
            name.key.owner,
            AuditTags(request_id, str(name.key)),
            lambda requests: requests.replaced(decide(requests.found(name.request_id, name.key))),
        )
        return changed.found(name.request_id, name.key)

    async def _change(
        self,
        owner: OwnerName,
        tags: AuditTags,
        change: Callable[[GrantRequests], GrantRequests],
    ) -> GrantRequests:
        """Read, change, write; once more from the read when somebody else wrote in between."""
        for _ in range(_MAX_WRITE_ATTEMPTS):
            before = await self._store.read(owner, tags)
            after = change(before.at(self._clock.now()))
            if after == before:
                return before
            try:
                await self._store.write(after, tags)
            except KeyChangedMeanwhileError:
                continue
            return after
        raise KeyChangedMeanwhileError
