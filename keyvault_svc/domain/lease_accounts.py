"""The accounts of leases: reserved before a key is handed over, settled after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from keyvault_svc.domain.charging import Charge, Charging
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.grant import Grant
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.lease import Lease, LeaseRequest, Remaining
from keyvault_svc.domain.lease_origin import LeaseOrigin, network_of
from keyvault_svc.domain.limit_answers import refusal_of, remaining_of
from keyvault_svc.domain.limit_store import (
    Crossing,
    Exceeded,
    LimitStore,
    Reservation,
    Settled,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import Amounts, Limits
from keyvault_svc.domain.names import GrantName, OwnerName
from keyvault_svc.domain.ports import LeaseLedger, SettlementLog
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from keyvault_svc.domain.usage import Usage, UsageSource
from svc_runtime.clock import Clock

_NOTHING = Amounts(requests=0)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was reserved for one lease.

    Attributes:
        bound: The most that the request can take.
        remaining: What the limits leave after it.
    """

    bound: Usage
    remaining: Remaining


class LeaseAccounts:
    """Reserves and settles, in the store of limits that replicas share and in this one's ledger."""

    def __init__(
        self,
        store: LimitStore,
        ledger: LeaseLedger,
        charging: Charging,
        notifier: Notifier,
        log: SettlementLog,
        clock: Clock,
        *,
        settle_within: timedelta,
    ) -> None:
        """Wait *settle_within* for settlements: the longest request, and some."""
        self._store = store
        self._ledger = ledger
        self._charging = charging
        self._notifier = notifier
        self._log = log
        self._clock = clock
        self._settle_within = settle_within

    async def reserve(
        self,
        lease_id: str,
        record: KeyRecord,
        grant: Grant,
        owner_limits: Limits,
        request: LeaseRequest,
        member: str,
    ) -> Reserved:
        """Reserve what *request* may take at most.

        Raises:
            RateLimitedError: A rate or the concurrent calls have no room.
            BudgetSpentError: A budget has no room.
            TokenBoundRequiredError: Limits hold, and nothing bounds what it takes.
            ModelPriceUnknownError: Limits in USD hold, and a price is not known.
            LimitStoreUnavailableError: Limits hold, and their store cannot answer.
        """
        charge = self._charging.charge(record, grant, owner_limits, request)
        now = self._clock.now()
        origin = _origin(record, grant, request, charge, member)
        reservation = Reservation(
            lease_id,
            record.name.owner,
            charge.limits,
            charge.amounts,
            now + self._settle_within,
            origin.encode(),
        )
        try:
            answer = await self._store.reserve(reservation, now)
        except LimitStoreUnavailableError:
            if charge.limits:
                raise
            return Reserved(charge.bound, Remaining())  # its usage is lost; the log has it
        if isinstance(answer, Exceeded):
            raise refusal_of(answer, now)
        return Reserved(charge.bound, remaining_of(answer.standings))

    def must_bound(
        self, record: KeyRecord, grant: Grant, owner_limits: Limits, request: LeaseRequest
    ) -> None:
        """Return if limits can be kept for *request*, whatever they leave.

        Raises:
            TokenBoundRequiredError: Limits hold, and nothing bounds what it takes.
            ModelPriceUnknownError: Limits in USD hold, and a price is not known.
        """
        self._charging.charge(record, grant, owner_limits, request)

    def open(self, lease: Lease, request: LeaseRequest, reserved: Reserved) -> None:
        """Record that *lease* was handed over."""
        self._ledger.open(lease, request, reserved.bound)

    async def release(self, owner: OwnerName, lease_id: str) -> None:
        """Give back what was reserved for a lease that was not handed over."""
        try:
            taken = Taken(lease_id, owner, _NOTHING)
            await self._store.settle(taken, self._clock.now())
        except LimitStoreUnavailableError:
            return  # it stays reserved until its window ends

    async def settle(self, settlement: LeaseSettlement) -> LeaseSettlement | None:
        """Settle one lease.

        Returns:
            The settlement, completed by what the lease was given for; None when it does not count,
            because the lease was settled, or was given for something else.

        Raises:
            LimitStoreUnavailableError: The store cannot answer; nothing was settled.
        """
        owner = settlement.grant_name.key.owner
        known = await self._store.find(owner, settlement.lease_id)
        if known is None:  # given while the store was away, or long ago
            return self._logged(self._ledger.settle(settlement))
        origin = LeaseOrigin.decode(known.note)
        if known.is_settled or not _is_of(settlement, origin):
            return None
        completed = settlement.completed(_bound_of(origin))
        taken = replace(self._taken(completed, origin), reserved=known.reserved)
        settled = await self._store.settle(taken, self._clock.now())
        if settled is None:
            return None
        self._ledger.settle(settlement)
        self._tell(completed.grant_name, origin, settled)
        return self._logged(completed)

    async def expire(self) -> None:
        """Settle the leases of this replica that nobody settled in time, as unsettled.

        What they reserved stays charged until its window ends.

        Raises:
            LimitStoreUnavailableError: The store cannot answer; the rest is looked at again.
        """
        for settlement in self._ledger.due(self._clock.now()):
            owner = settlement.grant_name.key.owner
            known = await self._store.find(owner, settlement.lease_id)
            is_settled = known is not None and known.is_settled  # by another replica
            unsettled = self._ledger.settle(settlement)
            if not is_settled:
                self._logged(unsettled)

    def _logged(self, settlement: LeaseSettlement | None) -> LeaseSettlement | None:
        if settlement is not None:
            self._log.write(settlement)
        return settlement

    def _taken(self, settlement: LeaseSettlement, origin: LeaseOrigin) -> Taken:
        usage = settlement.usage
        amounts = self._amounts(settlement, origin)
        name = settlement.grant_name
        row = None
        if settlement.outcome is not LeaseOutcome.UNUSED:
            micro_usd = self._micro_usd(settlement, origin)
            row = UsageRow(
                self._clock.now().date(),
                origin.key_id,
                origin.grant_id,
                origin.app,
                usage.model,
                origin.member,
                1,
                usage.input_tokens,
                usage.output_tokens,
                micro_usd or 0,
                int(micro_usd is None),
            )
        return Taken(
            settlement.lease_id,
            name.key.owner,
            amounts,
            row,
            usage.subject,
            "" if row is None else origin.grant_id,
            "" if row is None else origin.network,
        )

    def _amounts(self, settlement: LeaseSettlement, origin: LeaseOrigin) -> Amounts | None:
        """Return what the limits are charged; None for what was reserved."""
        if settlement.outcome is LeaseOutcome.UNUSED:
            return _NOTHING
        usage = settlement.usage
        if usage.source is UsageSource.NONE:
            # OpenAI served it and said nothing of what it took: it may have taken all of it.
            return None if settlement.is_served_well else Amounts()
        if usage.source is UsageSource.RESERVED:
            return None
        priced = self._charging.amounts(usage)
        # The tokens are known, whether or not their price is.
        tokens = usage.input_tokens + usage.output_tokens
        return Amounts(1, tokens, origin.micro_usd) if priced is None else priced

    def _micro_usd(self, settlement: LeaseSettlement, origin: LeaseOrigin) -> int | None:
        """Return what a request cost, in millionths of a USD; None when that is not known."""
        usage = settlement.usage
        if usage.source is UsageSource.NONE:
            return None if settlement.is_served_well else 0
        if usage.source is UsageSource.RESERVED and origin.micro_usd:
            return origin.micro_usd
        priced = self._charging.amounts(usage)
        return None if priced is None else priced.micro_usd

    def _tell(self, grant: GrantName, origin: LeaseOrigin, settled: Settled) -> None:
        def tell(event_type: EventType, **facts: str) -> None:
            self._notifier.notify(
                Event(
                    event_type,
                    grant.key.owner,
                    str(grant.key),
                    str(grant),
                    origin.app,
                    self._clock.now(),
                    facts,
                )
            )

        if settled.is_first_use:
            tell(EventType.GRANT_FIRST_USED, network=origin.network)
        if settled.is_new_network:
            tell(EventType.GRANT_NEW_NETWORK, network=origin.network)
        for crossing in settled.crossings:
            tell(EventType.BUDGET_REACHED, **_facts(crossing))


def _origin(
    record: KeyRecord, grant: Grant, request: LeaseRequest, charge: Charge, member: str
) -> LeaseOrigin:
    return LeaseOrigin(
        record.name.key_id,
        grant.grant_id,
        str(request.app),
        member,
        network_of(request.source_ip),
        request.model,
        charge.bound.input_tokens,
        charge.bound.output_tokens,
        charge.amounts.micro_usd,
    )


def _bound_of(origin: LeaseOrigin) -> Usage:
    return Usage(
        origin.input_tokens,
        origin.output_tokens,
        model=origin.model,
        source=UsageSource.RESERVED,
    )


def _is_of(settlement: LeaseSettlement, origin: LeaseOrigin) -> bool:
    name = settlement.grant_name
    said = (name.key.key_id, name.grant_id, settlement.app)
    return said == (origin.key_id, origin.grant_id, origin.app)


def _facts(crossing: Crossing) -> dict[str, str]:
    standing = crossing.standing
    return {
        "scope": standing.limit.scope.value,
        "limit": f"{standing.limit.kind.value} {standing.limit.limit}",
        "percent": str(crossing.percent),
        "until": "" if standing.end_time is None else standing.end_time.isoformat(),
    }
