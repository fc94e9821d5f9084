"""The use case of everybody who may know: what was used, and what limits leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from keyvault_svc.domain.controls_store import ControlsStore
from keyvault_svc.domain.errors import KeyNotFoundError
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.limit_refs import limit_refs
from keyvault_svc.domain.limit_store import LimitStore, UsageRow
from keyvault_svc.domain.limits import Limits, Standing
from keyvault_svc.domain.names import GrantName, KeyName, OwnerName
from keyvault_svc.domain.person import Person
from keyvault_svc.domain.ports import AuditTags, KeyStore
from keyvault_svc.domain.roles import Action
from svc_runtime.clock import Clock
from svc_runtime.service_error import InvalidFieldError

MAX_SPAN: Final = timedelta(days=366)  # from the first day to the last; rows are kept for 400
MAX_STANDINGS: Final = 2_000  # more than one key can have: 200 grants and two more, 7 limits each
_READS_AT_ONCE: Final = 8
_STANDINGS_AT_ONCE: Final = 500  # leases are served between two parts


@dataclass(frozen=True, slots=True, order=True)
class RowPlace:
    """What tells a row from every other of its owner, and the order in which rows stand."""

    day: date
    key_id: str
    grant_id: str
    app: str
    model: str
    member: str

    @classmethod
    def of(cls, row: UsageRow) -> Self:
        """Return the place of *row*."""
        return cls(row.day, row.key_id, row.grant_id, row.app, row.model, row.member)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was used of one owner's keys, and what is left.

    Attributes:
        rows: By day, sorted.
        standings: Of the owner's limits, then of each key's and of its active grants'; the
            `MAX_STANDINGS` that are used up most.
    """

    owner: OwnerName
    rows: tuple[UsageRow, ...]
    standings: tuple[Standing, ...]


class UsageReporting:
    """Reports of usage, on behalf of people. It reads only, and tells what holds now."""

    def __init__(
        self,
        limits: LimitStore,
        keys: KeyStore,
        controls: ControlsStore,
        default_limits: Limits,
        clock: Clock,
    ) -> None:
        """Read *limits*, for *keys*; *default_limits* are those of owners without their own."""
        self._limits = limits
        self._keys = keys
        self._controls = controls
        self._default_limits = default_limits
        self._clock = clock

    async def report(
        self,
        person: Person,
        name: OwnerName | KeyName,
        request_id: str,
        *,
        since: date | None = None,
        until: date | None = None,
        after: RowPlace | None = None,
    ) -> UsageReport:
        """Return what was used from *since* to *until*, both included, and what is left now.

        Args:
            person: Who asks.
            name: An owner, for all keys, those that are deleted by now included; or one key.
            request_id: The request.
            since: In UTC; None for the first day of this month.
            until: In UTC; None for today.
            after: The last row that the person has; None for a report from the beginning. The rest
                of a report is rows only.

        Raises:
            NotTheOwnerError: The person may not know what the owner uses.
            InvalidFieldError: The days are in no order, or too many.
            KeyNotFoundError: There is no key of this name.
            KeyRecordUnreadableError: A record cannot be understood.
            LimitStoreUnavailableError: The store of limits cannot answer.
        """
        owner = name.owner if isinstance(name, KeyName) else name
        person.must(Action.READ_USAGE, owner)
        since, until = self._days(since, until)
        if after is not None:
            return UsageReport(owner, await self._rows(name, since, until, after), ())
        records = await self._records(name, request_id)
        rows = await self._rows(name, since, until, None)
        return UsageReport(owner, rows, await self._standings(owner, records, request_id))

    def _days(self, since: date | None, until: date | None) -> tuple[date, date]:
        today = self._clock.now().date()
        since, until = since or today.replace(day=1), until or today
        if until < since or until - since > MAX_SPAN:
            raise InvalidFieldError(
                "until_date",
                f"must not be before since_date, and at most {MAX_SPAN.days} days after it",
            )
        return since, until

    async def _rows(
        self, name: OwnerName | KeyName, since: date, until: date, after: RowPlace | None
    ) -> tuple[UsageRow, ...]:
        owner, key_id = (name.owner, name.key_id) if isinstance(name, KeyName) else (name, None)
        begin = since if after is None else max(since, after.day)
        rows = await self._limits.usage(owner, begin, until) if begin <= until else []
        return tuple(
            sorted(
                (
                    row
                    for row in rows
                    if key_id in {None, row.key_id} and (after is None or RowPlace.of(row) > after)
                ),
                key=RowPlace.of,
            )
        )

    async def _records(self, name: OwnerName | KeyName, request_id: str) -> list[KeyRecord]:
        if isinstance(name, KeyName):
            record = await self._keys.read(name, AuditTags(request_id, str(name)))
            if record is None:
                raise KeyNotFoundError
            return [record]
        names = [KeyName(name, key_id) for key_id in await self._keys.list_ids(name, request_id)]
        records: list[KeyRecord] = []
        for begin in range(0, len(names), _READS_AT_ONCE):
            read = [
                self._keys.read(key, AuditTags(request_id, str(key)))
                for key in names[begin : begin + _READS_AT_ONCE]
            ]
            records += [found for found in await asyncio.gather(*read) if found is not None]
        return records

    async def _standings(
        self, owner: OwnerName, records: Iterable[KeyRecord], request_id: str
    ) -> tuple[Standing, ...]:
        controls = await self._controls.read(AuditTags(request_id, ""))
        limits = controls.limits_of(owner, self._default_limits)
        now = self._clock.now()
        refs = list(limit_refs(owner, limits))
        for record in records:
            refs += limit_refs(record.name, record.limits)
            for grant in record.active_grants(now):
                refs += limit_refs(GrantName(record.name, grant.grant_id), grant.terms.limits)
        standings: list[Standing] = []
        for begin in range(0, len(refs), _STANDINGS_AT_ONCE):
            part = refs[begin : begin + _STANDINGS_AT_ONCE]
            standings += await self._limits.standings(owner, part, now)
        return _most_used(standings)


def _most_used(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Return the `MAX_STANDINGS` that are used up most, in the order in which they are."""
    if len(standings) <= MAX_STANDINGS:
        return tuple(standings)
    by_share = sorted(standings, key=lambda s: (s.used + s.held) / s.limit.limit, reverse=True)
    kept = set(by_share[:MAX_STANDINGS])
    return tuple(standing for standing in standings if standing in kept)
