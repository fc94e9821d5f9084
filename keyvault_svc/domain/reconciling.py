"""Use cases of reconciliation: find keys that are used beside Keyturn.

The key service knows what went through Keyturn, and OpenAI knows everything that was done with a
key; a gateway, which alone reaches OpenAI, brings the two together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol

from keyvault_svc.domain.controls_store import ControlsStore
from keyvault_svc.domain.errors import KeyNotFoundError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.handoff import Handoff
from keyvault_svc.domain.lease import Lease, must_serve
from keyvault_svc.domain.lease_id import new_lease_id
from keyvault_svc.domain.limit_store import LimitStore, UsageRow
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.domain.reconcilable_keys import ReconcilableKeys
from keyvault_svc.domain.reconciliation import Comparison, Counted, Tolerance, Verdict
from keyvault_svc.domain.records import Records
from svc_runtime.clock import Clock
from svc_runtime.service_error import CallerNotAllowedError, InvalidFieldError
from svc_runtime.spiffe_id import SpiffeId

_MAX_AGE: Final = timedelta(days=366)  # rows of usage are kept for 400 days
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReconcilingPolicy:
    """What the deployment decides about reconciliation.

    Attributes:
        admin_key: The key that asks OpenAI; None to reconcile nothing.
        gateways: Which of the gateways may; empty for all.
        ready_after: How long ago a day must have ended, since OpenAI counts late.
    """

    admin_key: KeyName | None = None
    gateways: frozenset[SpiffeId] = frozenset()
    tolerance: Tolerance = field(default_factory=Tolerance)
    ready_after: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class ReconciledKey:
    """A key that can be compared, and what went through Keyturn with it."""

    key: KeyName
    openai_key_id: str
    keyturn: Counted


@dataclass(frozen=True, slots=True)
class ReconciledPage:
    """Some of the keys that can be compared.

    Attributes:
        uncovered: Other keys of the same owners, which cannot be.
        last_entry: The last entry that was looked at; empty when there are no more.
    """

    day: date
    keys: tuple[ReconciledKey, ...]
    uncovered: tuple[KeyName, ...]
    last_entry: str


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """What a gateway says that OpenAI counted, and the keys that it is about."""

    openai_key_id: str
    keys: tuple[KeyName, ...]
    counted: Counted


class RecheckQueue(Protocol):
    """Has keys verified that OpenAI refused."""

    async def recheck(self, name: KeyName, tags: AuditTags) -> None:
        """Have *name* verified soon."""


class ReconcilingLog(Protocol):
    """Tells security of keys that are used beside Keyturn."""

    def used_elsewhere(self, name: KeyName, day: date, excess: Counted) -> None:
        """Tell that OpenAI counted *excess* more for *name* on *day* than went through Keyturn."""


@dataclass(frozen=True, slots=True)
class ReconcilingDoors:
    """What reconciliation reads, and whom it tells."""

    keys: ReconcilableKeys
    records: Records
    controls: ControlsStore
    limits: LimitStore
    notifier: Notifier
    log: ReconcilingLog


class Reconciling:
    """Reconciliation, on behalf of gateways."""

    def __init__(
        self,
        doors: ReconcilingDoors,
        handoff: Handoff,
        rechecks: RecheckQueue,
        policy: ReconcilingPolicy,
        clock: Clock,
    ) -> None:
        self._doors = doors
        self._keys = doors.keys
        self._handoff = handoff
        self._rechecks = rechecks
        self._policy = policy
        self._clock = clock

    async def list_keys(
        self, gateway: SpiffeId, day: date | None, after: str, request_id: str
    ) -> ReconciledPage:
        """Return keys that can be compared.

        Args:
            gateway: Who asks.
            day: In UTC; None for the last one that can be compared.
            after: The last entry of the page before; empty for the first page.
            request_id: The request.

        Raises:
            CallerNotAllowedError: The gateway may not reconcile.
            KeyNotFoundError: There is no admin key.
            InvalidFieldError: The day cannot be compared yet, or no more.
            VaultUnavailableError: Vault cannot answer.
            LimitStoreUnavailableError: The store of limits cannot answer.
        """
        admin_key = self._admin_key(gateway)
        day = self._checked(day)
        page = await self._keys.page(after, request_id)
        usage = _UsageOfDay(self._doors.limits, day)
        keys = [
            ReconciledKey(record.name, record.current.openai_key_id, await usage.of(record.name))
            for record in page.covered
        ]
        uncovered = tuple(name for name in page.uncovered if name != admin_key)
        return ReconciledPage(day, tuple(keys), uncovered, page.last_entry)

    async def lease_admin_key(self, gateway: SpiffeId, request_id: str) -> Lease:
        """Lease the admin key for one question to OpenAI.

        Vault's audit log shows the reads and the decrypt as those of any other lease, with the
        gateway itself as the app.

        Raises:
            CallerNotAllowedError: The gateway may not reconcile.
            KeyNotFoundError: There is no admin key.
            SuspendedError: Operators stopped its use.
            ServiceError: The key does not serve, or Vault cannot answer.
        """
        name = self._admin_key(gateway)
        lease_id = new_lease_id(self._clock.now())
        tags = AuditTags(request_id, str(name), lease_id, str(gateway))
        record, controls = await asyncio.gather(
            self._doors.records.find(name, tags), self._doors.controls.read(tags)
        )
        if record is None:
            raise KeyNotFoundError
        controls.must_allow(name, gateway)
        must_serve(record)
        return await self._handoff.lease(record, record.current, tags)

    async def recheck_admin_key(self, gateway: SpiffeId, request_id: str) -> None:
        """Have the admin key verified, because OpenAI refused it.

        Raises:
            CallerNotAllowedError: The gateway may not reconcile.
            KeyNotFoundError: There is no admin key.
            VaultUnavailableError: Vault cannot answer.
        """
        name = self._admin_key(gateway)
        await self._rechecks.recheck(name, AuditTags(request_id, str(name)))

    async def report(
        self, gateway: SpiffeId, day: date, usages: Sequence[ReportedUsage], request_id: str
    ) -> list[Comparison]:
        """Compare what OpenAI counted, and tell of keys that are used elsewhere.

        Returns:
            One comparison for each usage, but for those of keys that do not have the id any more.

        Raises:
            CallerNotAllowedError: The gateway may not reconcile.
            KeyNotFoundError: There is no admin key.
            InvalidFieldError: The day cannot be compared.
            VaultUnavailableError: Vault cannot answer.
            LimitStoreUnavailableError: The store of limits cannot answer.
        """
        self._admin_key(gateway)
        usage = _UsageOfDay(self._doors.limits, self._checked(day))
        comparisons = []
        for reported in usages:
            keys = await self._keys.having(reported.openai_key_id, reported.keys, request_id)
            if not keys:
                continue
            keyturn = Counted()
            for name in keys:
                keyturn = keyturn.plus(await usage.of(name))
            verdict = self._policy.tolerance.verdict(reported.counted, keyturn)
            comparison = Comparison(
                reported.openai_key_id, tuple(keys), keyturn, reported.counted, verdict
            )
            comparisons.append(comparison)
        # Nobody is told before all is compared: a call that breaks off is repeated.
        for comparison in comparisons:
            if comparison.verdict is Verdict.USED_ELSEWHERE:
                self._tell(comparison, day)
        return comparisons

    def _admin_key(self, gateway: SpiffeId) -> KeyName:
        if self._policy.admin_key is None:
            raise KeyNotFoundError
        if self._policy.gateways and gateway not in self._policy.gateways:
            raise CallerNotAllowedError
        return self._policy.admin_key

    def _checked(self, day: date | None) -> date:
        now = self._clock.now().astimezone(UTC)
        last = (now - self._policy.ready_after).date() - _DAY
        if day is None:
            return last
        if not now.date() - _MAX_AGE <= day <= last:
            hours = self._policy.ready_after // timedelta(hours=1)
            raise InvalidFieldError(
                "date",
                f"must have ended {hours} hours ago, and be at most {_MAX_AGE.days} days old",
            )
        return day

    def _tell(self, comparison: Comparison, day: date) -> None:
        """Tell security of each key, and the owner.

        Where keys of several owners say that they have the same id at OpenAI, at most one of them
        is right, and the others must not learn what it is used for.
        """
        owners = {name.owner for name in comparison.keys}
        # The same for each run over the day, so that its events have the same ids.
        end = datetime.combine(day + _DAY, time(), UTC)
        facts = {
            "date": day.isoformat(),
            "openai": str(comparison.openai),
            "keyturn": str(comparison.keyturn),
        }
        for name in comparison.keys:
            self._doors.log.used_elsewhere(name, day, comparison.excess)
            if len(owners) == 1:
                self._doors.notifier.notify(
                    Event(EventType.USED_ELSEWHERE, name.owner, str(name), "", "", end, facts)
                )


class _UsageOfDay:
    """What went through Keyturn on one day; each owner's is read once."""

    def __init__(self, limits: LimitStore, day: date) -> None:
        self._limits = limits
        self._day = day
        self._rows: dict[OwnerName, list[UsageRow]] = {}

    async def of(self, name: KeyName) -> Counted:
        """Return what went through Keyturn with *name*."""
        if name.owner not in self._rows:
            self._rows[name.owner] = await self._limits.usage(name.owner, self._day, self._day)
        return Counted.of(row for row in self._rows[name.owner] if row.key_id == name.key_id)
