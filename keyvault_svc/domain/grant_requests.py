"""Requests for grants: an app developer asks an owner, who decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from keyvault_svc.domain.errors import (
    GrantRequestDecidedError,
    GrantRequestNotFoundError,
    TooManyGrantRequestsError,
)
from keyvault_svc.domain.grant import GrantTerms
from keyvault_svc.domain.names import KeyName, OwnerName
from svc_runtime.service_error import InvalidFieldError

OPEN_FOR: Final = timedelta(days=30)
KEPT_FOR: Final = timedelta(days=30)  # after it was decided
MAX_OPEN: Final = 100  # of an owner
MAX_OPEN_OF_REQUESTER: Final = 10  # at an owner
MAX_KEPT: Final = 150  # of an owner, decided ones included
MIN_REASON: Final = 10  # characters
MAX_REASON: Final = 500
MAX_ANSWER: Final = 500
MAX_TERMS: Final = 2_000  # characters of the terms of one request
# Of all requests of an owner, in characters. What Vault stores of one takes up to 6 bytes, so the
# document stays below Vault's entry limit of 1 MiB.
MAX_CHARACTERS: Final = 128 * 1024


class GrantRequestState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """A request for a grant.

    Attributes:
        terms: What is asked for.
        reason: What for.
        requester: Who asked: the verified name of the person.
        answer: What the decider says to the requester.
        grant_id: The grant that it led to; empty for none. Of an approved one, empty while the
            grant is being made; where that broke off, until it is approved once more.
    """

    request_id: str
    key: KeyName
    terms: GrantTerms
    reason: str
    requester: str
    create_time: datetime
    state: GrantRequestState = GrantRequestState.OPEN
    decide_time: datetime | None = None
    decider: str = ""
    answer: str = ""
    grant_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided it."""
        return self.state is GrantRequestState.OPEN

    @property
    def size(self) -> int:
        """Characters of what people wrote."""
        return self.terms.size + len(self.reason) + len(self.answer)

    def is_kept(self, now: datetime) -> bool:
        """Tell whether it is still there at *now*."""
        if self.decide_time is None:
            return now < self.create_time + OPEN_FOR
        return now < self.decide_time + KEPT_FOR

    def repeats(self, other: GrantRequest) -> bool:
        """Tell whether it asks for the same app and key, by the same person, as *other*."""
        return (self.requester, self.key, self.terms.app) == (
            other.requester,
            other.key,
            other.terms.app,
        )

    def approved(self, decider: str, answer: str, now: datetime) -> GrantRequest:
        """Return the request as approved, before there is a grant.

        Raises:
            GrantRequestDecidedError: It was declined, or there is a grant.
        """
        if self.state is GrantRequestState.DECLINED or self.grant_id:
            raise GrantRequestDecidedError
        return replace(
            self,
            state=GrantRequestState.APPROVED,
            decide_time=now,
            decider=decider,
            answer=answer,
        )

    def granted(self, grant_id: str) -> GrantRequest:
        """Return the request with the grant that it led to."""
        return replace(self, state=GrantRequestState.APPROVED, grant_id=grant_id)

    def reopened(self, approved: GrantRequest) -> GrantRequest:
        """Return the request as open again, if it is as *approved* says: no grant came of that."""
        if self != approved:
            return self
        return replace(self, state=GrantRequestState.OPEN, decide_time=None, decider="", answer="")

    def declined(self, decider: str, answer: str, now: datetime) -> GrantRequest:
        """Return the request as declined; a declined one stays as it is.

        Raises:
            GrantRequestDecidedError: It was approved. Where the making of the grant broke off, it
                is approved once more and the grant revoked: nobody can tell here whether it is
                still under way.
        """
        if self.state is GrantRequestState.DECLINED:
            return self
        if self.state is GrantRequestState.APPROVED:
            raise GrantRequestDecidedError
        return replace(
            self,
            state=GrantRequestState.DECLINED,
            decide_time=now,
            decider=decider,
            answer=answer,
        )


@dataclass(frozen=True, slots=True)
class GrantRequests:
    """The requests to one owner, the oldest first.

    Attributes:
        revision: Version of what is stored, for check-and-set; 0 for nothing stored yet.
    """

    owner: OwnerName
    requests: tuple[GrantRequest, ...] = ()
    revision: int = 0

    def at(self, now: datetime) -> GrantRequests:
        """Return those that are still there at *now*."""
        return replace(self, requests=tuple(r for r in self.requests if r.is_kept(now)))

    def found(self, request_id: str, key: KeyName) -> GrantRequest:
        """Return one request about *key*.

        Raises:
            GrantRequestNotFoundError: There is none.
        """
        for request in self.requests:
            if (request.request_id, request.key) == (request_id, key):
                return request
        raise GrantRequestNotFoundError

    def added(self, request: GrantRequest) -> GrantRequests:
        """Return these with *request*, in place of an open one that it repeats.

        Decided ones make room for it, the oldest first.

        Raises:
            TooManyGrantRequestsError: Too many are open, of the requester or of the owner, or they
                are too long together.
        """
        kept = [r for r in self.requests if not (r.is_open and request.repeats(r))]
        still_open = [r for r in kept if r.is_open]
        of_requester = [r for r in still_open if r.requester == request.requester]
        if len(still_open) >= MAX_OPEN or len(of_requester) >= MAX_OPEN_OF_REQUESTER:
            raise TooManyGrantRequestsError
        return replace(self, requests=_fitting((*kept, request)))

    def replaced(self, request: GrantRequest) -> GrantRequests:
        """Return these with *request* in place of the one with its id."""
        requests = tuple(
            request if other.request_id == request.request_id else other for other in self.requests
        )
        return replace(self, requests=_fitting(requests, keeping=request))


def check_reason(unverified: str) -> str:
    """Return the reason of a request, without space around it.

    Raises:
        InvalidFieldError: It is too short or too long, or is not one line of printable characters.
    """
    reason = unverified.strip()
    if not MIN_REASON <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise InvalidFieldError(
            "grant_request.reason",
            f"must be {MIN_REASON} to {MAX_REASON} printable characters on one line",
        )
    return reason


def check_answer(unverified: str) -> str:
    """Return what a decider says, without space around it.

    Raises:
        InvalidFieldError: It is too long, or is not one line of printable characters.
    """
    answer = unverified.strip()
    if len(answer) > MAX_ANSWER or not answer.isprintable():
        raise InvalidFieldError(
            "answer", f"must be at most {MAX_ANSWER} printable characters on one line"
        )
    return answer


def check_size(terms: GrantTerms) -> None:
    """Refuse terms that are too long for a request.

    Raises:
        InvalidFieldError: They are.
    """
    if terms.size > MAX_TERMS:
        raise InvalidFieldError(
            "grant_request.grant",
            f"must have at most {MAX_TERMS} characters: name fewer models, endpoints and networks",
        )


def _fitting(
    requests: tuple[GrantRequest, ...], keeping: GrantRequest | None = None
) -> tuple[GrantRequest, ...]:
    """Return *requests* without the oldest decided ones, as far as there is no room for them."""
    kept = list(requests)
    while sum(request.size for request in kept) > MAX_CHARACTERS or len(kept) > MAX_KEPT:
        decided = next((r for r in kept if not r.is_open and r is not keeping), None)
        if decided is not None:
            kept.remove(decided)
        elif keeping is None:
            raise TooManyGrantRequestsError
        else:
            break  # to decide is never refused: an answer may take a little more
    return tuple(kept)
