"""What operators decide: what is stopped, and which owners have limits of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from keyvault_svc.domain.errors import SuspendedError, TooManySuspensionsError
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from svc_runtime.service_error import InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

EVERYTHING: Final = "*"
MAX_SUSPENSIONS: Final = 1000  # every lease reads them
MAX_OWNER_LIMITS: Final = 1000
MAX_REASON: Final = 500  # characters
SUBJECT_RULE: Final = (
    "must be a key's name, an owner's name, an app's SPIFFE ID, or '*' for everything"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What can be stopped. No text of one kind can be one of another.

    Attributes:
        stopped: The key, the owner or the app; None for everything.
    """

    stopped: KeyName | OwnerName | SpiffeId | None

    @classmethod
    def parse(cls, unverified: str, field: str) -> Self:
        """Parse *unverified*.

        Args:
            unverified: Text from outside.
            field: How the caller calls it, for the error.

        Raises:
            InvalidFieldError: It is nothing that can be stopped.
        """
        if unverified == EVERYTHING:
            return cls(None)
        try:
            if "://" in unverified:
                return cls(SpiffeId.parse(unverified))
            if "/keys/" in unverified:
                return cls(KeyName.parse(unverified, field))
            return cls(OwnerName.parse(unverified, field))
        except (ValueError, InvalidFieldError):
            pass
        raise InvalidFieldError(field, SUBJECT_RULE)

    def is_of(self, owner: OwnerName) -> bool:
        """Tell whether it is *owner*, or one of their keys."""
        stopped = self.stopped
        return stopped == owner or (isinstance(stopped, KeyName) and stopped.owner == owner)

    def fields(self) -> dict[str, str]:
        """Return how records of the log name it; everything is named by each field."""
        match self.stopped:
            case KeyName():
                return {"key": str(self)}
            case OwnerName():
                return {"owner": str(self)}
            case SpiffeId():
                return {"app": str(self)}
            case None:
                return dict.fromkeys(("key", "owner", "app"), EVERYTHING)

    def __str__(self) -> str:
        return EVERYTHING if self.stopped is None else str(self.stopped)


@dataclass(frozen=True, slots=True)
class Suspension:
    """A stop.

    Attributes:
        reason: Why, for operators and auditors.
        creator: Name of the person who stopped it.
    """

    subject: Subject
    reason: str
    creator: str
    create_time: datetime

    def __post_init__(self) -> None:
        is_line = self.reason.strip() and self.reason.isprintable()
        if not is_line or len(self.reason) > MAX_REASON:
            raise InvalidFieldError(
                "suspension.reason", f"must be one line of 1 to {MAX_REASON} printable characters"
            )


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything that operators have decided, at one moment.

    Attributes:
        suspensions: The stops by their subject, the oldest first.
        owner_limits: The limits of owners with limits of their own.
        revision: Version of what is stored, for check-and-set; 0 while nothing is.
    """

    suspensions: Mapping[Subject, Suspension] = field(default_factory=dict)
    owner_limits: Mapping[OwnerName, Limits] = field(default_factory=dict)
    revision: int = 0

    def suspended(self, key: KeyName, app: SpiffeId) -> Suspension | None:
        """Return a stop that holds for calls of *app* with *key*, the widest; None for none."""
        for stopped in (None, key.owner, key, app):
            suspension = self.suspensions.get(Subject(stopped))
            if suspension is not None:
                return suspension
        return None

    def must_allow(self, key: KeyName, app: SpiffeId) -> None:
        """Refuse calls of *app* with *key* while a stop holds for them.

        Raises:
            SuspendedError: One does; which one is not told.
        """
        if self.suspended(key, app) is not None:
            raise SuspendedError

    def limits_of(self, owner: OwnerName, default: Limits) -> Limits:
        """Return the limits of *owner*: its own in place of *default*, not beside it."""
        return self.owner_limits.get(owner, default)

    def about(self, owner: OwnerName) -> Controls:
        """Return those for *owner* and for their keys, and no others."""
        of_owner = {s: stop for s, stop in self.suspensions.items() if s.is_of(owner)}
        limits = {name: kept for name, kept in self.owner_limits.items() if name == owner}
        return replace(self, suspensions=of_owner, owner_limits=limits)

    def without(self, owner: OwnerName) -> Controls:
        """Return all but those for *owner* and for their keys."""
        others = {s: stop for s, stop in self.suspensions.items() if not s.is_of(owner)}
        limits = {name: kept for name, kept in self.owner_limits.items() if name != owner}
        return replace(self, suspensions=others, owner_limits=limits)

    def with_suspension(self, suspension: Suspension) -> Controls:
        """Return them with a stop; what is stopped keeps its first reason and time.

        Raises:
            TooManySuspensionsError: There are `MAX_SUSPENSIONS`.
        """
        if suspension.subject in self.suspensions:
            return self
        if len(self.suspensions) >= MAX_SUSPENSIONS:
            raise TooManySuspensionsError
        return replace(self, suspensions={**self.suspensions, suspension.subject: suspension})

    def without_suspension(self, subject: Subject) -> Controls:
        """Return them without the stop of exactly *subject*; a wider one stays."""
        if subject not in self.suspensions:
            return self
        left = {stopped: s for stopped, s in self.suspensions.items() if stopped != subject}
        return replace(self, suspensions=left)

    def with_owner_limits(self, owner: OwnerName, limits: Limits | None) -> Controls:
        """Return them with limits for *owner* alone; None for the deployment's again.

        Raises:
            TooManySuspensionsError: `MAX_OWNER_LIMITS` owners have limits of their own.
        """
        others = {other: kept for other, kept in self.owner_limits.items() if other != owner}
        if limits is None:
            return replace(self, owner_limits=others)
        if len(others) >= MAX_OWNER_LIMITS:
            raise TooManySuspensionsError
        return replace(self, owner_limits={**others, owner: limits})
