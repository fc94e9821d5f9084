"""Use cases of operators: stop what must not go on, and limit owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from keyvault_svc.domain.controls import MAX_SUSPENSIONS, Controls, Subject, Suspension
from keyvault_svc.domain.controls_store import ControlsStore
from keyvault_svc.domain.errors import KeyChangedMeanwhileError, TooManySuspensionsError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.roles import Action
from svc_runtime.clock import Clock

# Operators are few; more rounds than this mean that something loops.
_MAX_WRITE_ATTEMPTS: Final = 8
BY_ANOMALIES: Final = "anomalies"
"""Who made a suspension that unusual use brought about."""
MAX_BY_ANOMALIES: Final = MAX_SUSPENSIONS // 2
"""Whoever has many keys could bring about many, and operators need room for their own."""


class OperatingLog(Protocol):
    """Tells security what operators did. A repeated call that changes nothing is not told."""

    def suspended(self, suspension: Suspension) -> None:
        """Tell that *suspension* holds from now on."""

    def resumed(self, subject: Subject, person: str) -> None:
        """Tell that *person* ended the stop of *subject*."""

    def owner_limits_set(self, owner: OwnerName, limits: Limits | None, person: str) -> None:
        """Tell that *person* gave *owner* *limits* of its own; None: the deployment's again."""


class Operating:
    """The controls, on behalf of operators. What they decide holds once a method returns."""

    def __init__(
        self,
        store: ControlsStore,
        log: OperatingLog,
        notifier: Notifier,
        default_limits: Limits,
        clock: Clock,
    ) -> None:
        """Act on *store*; *default_limits* are those of owners without their own."""
        self._store = store
        self._log = log
        self._notifier = notifier
        self.default_limits = default_limits
        self._clock = clock

    async def suspend(
        self, person: Person, subject: Subject, reason: str, request_id: str
    ) -> Suspension:
        """Stop *subject*, and return the stop that holds: the first, if it was stopped before.

        The owner of what is stopped is told; of an app or everything there is no one owner.

        Raises:
            NotTheOwnerError: The person is no operator.
            InvalidFieldError: The reason is empty, too long, or more than a line of text.
            TooManySuspensionsError: There are too many.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.SUSPEND)
        suspension = Suspension(subject, reason, person.name, self._clock.now())
        return await self._suspend(suspension, request_id)

    async def suspend_unusual(self, key: KeyName, reason: str, request_id: str) -> Suspension:
        """Stop *key* because of how it is used; no person asks for it. Otherwise as `suspend`.

        Raises:
            TooManySuspensionsError: There are too many, or `MAX_BY_ANOMALIES` of this kind.
            KeyChangedMeanwhileError: Other writers did not let this one through.
            VaultUnavailableError: Vault cannot answer.
        """
        suspension = Suspension(Subject(key), reason, BY_ANOMALIES, self._clock.now())
        return await self._suspend(suspension, request_id, most_of_creator=MAX_BY_ANOMALIES)

    async def resume(self, person: Person, subject: Subject, request_id: str) -> bool:
        """Let *subject* go on, unless a wider stop holds; return whether it was stopped.

        Raises:
            NotTheOwnerError: The person is no operator.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.RESUME)
        before, _ = await self._change(
            request_id, lambda controls: controls.without_suspension(subject)
        )
        was_suspended = subject in before.suspensions
        if was_suspended:
            self._log.resumed(subject, person.name)
        return was_suspended

    async def controls(self, person: Person, request_id: str) -> Controls:
        """Return everything that holds.

        Raises:
            NotTheOwnerError: The person is neither operator nor auditor.
        """
        person.must(Action.READ_CONTROLS)
        return await self._store.read(AuditTags(request_id, ""))

    async def set_owner_limits(
        self, person: Person, owner: OwnerName, limits: Limits | None, request_id: str
    ) -> Limits:
        """Give *owner* limits of its own, or the deployment's again; return those that hold.

        Raises:
            NotTheOwnerError: The person is no operator.
            TooManySuspensionsError: Too many owners have limits of their own.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.SET_OWNER_LIMITS)
        before, after = await self._change(
            request_id, lambda controls: controls.with_owner_limits(owner, limits)
        )
        if before.owner_limits.get(owner) != limits:
            self._log.owner_limits_set(owner, limits, person.name)
        return after.limits_of(owner, self.default_limits)

    async def about(self, owner: OwnerName, request_id: str) -> Controls:
        """Return what is decided on *owner* and on their keys; whoever asks has checked who asks.

        Raises:
            KeyRecordUnreadableError: What is stored cannot be understood.
        """
        return (await self._store.read(AuditTags(request_id, ""))).about(owner)

    async def forget(self, person: Person, owner: OwnerName, request_id: str) -> Controls:
        """Resume *owner* and all of their keys, and take back their own limits; return what went.

        Former versions of what is stored stay until others take their place: the key service has no
        right to destroy them.

        Raises:
            NotTheOwnerError: The person is no operator.
            KeyChangedMeanwhileError: Other writers did not let this one through.
        """
        person.must(Action.RESUME)
        person.must(Action.SET_OWNER_LIMITS)
        before, _ = await self._change(request_id, lambda controls: controls.without(owner))
        gone = before.about(owner)
        for subject in gone.suspensions:
            self._log.resumed(subject, person.name)
        if gone.owner_limits:
            self._log.owner_limits_set(owner, None, person.name)
        return gone

    async def _suspend(
        self, suspension: Suspension, request_id: str, *, most_of_creator: int = MAX_SUSPENSIONS
    ) -> Suspension:
        subject = suspension.subject

        def suspended(controls: Controls) -> Controls:
            made = [s for s in controls.suspensions.values() if s.creator == suspension.creator]
            if subject not in controls.suspensions and len(made) >= most_of_creator:
                raise TooManySuspensionsError
            return controls.with_suspension(suspension)

        before, after = await self._change(request_id, suspended)
        if subject not in before.suspensions:
            self._log.suspended(suspension)
            self._tell_owner(suspension)
        return after.suspensions[subject]

    def _tell_owner(self, suspension: Suspension) -> None:
        match suspension.subject.stopped:
            case KeyName() as name:
                owner, key = name.owner, str(name)
            case OwnerName() as name:
                owner, key = name, ""
            case _:
                return
        facts = {"what": str(suspension.subject)}
        self._notifier.notify(
            Event(EventType.SUSPENDED, owner, key, "", "", suspension.create_time, facts)
        )

    async def _change(
        self, request_id: str, change: Callable[[Controls], Controls]
    ) -> tuple[Controls, Controls]:
        """Return the controls before and after *change*; nothing is written if it changes none."""
        tags = AuditTags(request_id, "")
        for _ in range(_MAX_WRITE_ATTEMPTS):
            before = await self._store.read(tags)
            after = change(before)
            if after == before:
                return before, before
            try:
                await self._store.write(after, tags)
            except KeyChangedMeanwhileError:
                continue
            return before, after
        raise KeyChangedMeanwhileError
