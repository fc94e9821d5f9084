"""Observes how grants are used, in memory, without keeping a call waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.times import hour_of
from keyvault_svc.domain.errors import (
    AppProofRequiredError,
    BudgetSpentError,
    EndpointNotGrantedError,
    GrantExpiredError,
    GrantRevokedError,
    KeyDisabledError,
    KeyExpiredError,
    KeyPendingError,
    KeyRejectedError,
    ModelNotGrantedError,
    ModelPriceUnknownError,
    OwnerNotPresentError,
    RateLimitedError,
    SourceNotGrantedError,
    TokenBoundRequiredError,
)
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import GrantName
from keyvault_svc.domain.ports import SettlementLog
from keyvault_svc.domain.settlement import LeaseOutcome, LeaseSettlement
from svc_runtime.clock import Clock
from svc_runtime.service_error import ServiceError
from svc_runtime.spiffe_id import SpiffeId

MAX_TALLIES: Final = 10_000  # some 10 MB; observations of further grants are dropped

# Of the others, an outage is no refusal, and what operators stopped is no news to them.
_REFUSALS: Final = (
    AppProofRequiredError,
    BudgetSpentError,
    EndpointNotGrantedError,
    GrantExpiredError,
    KeyExpiredError,
    KeyPendingError,
    ModelNotGrantedError,
    ModelPriceUnknownError,
    OwnerNotPresentError,
    RateLimitedError,
    SourceNotGrantedError,
    TokenBoundRequiredError,
)
_LATE_CAUSES: Final[Mapping[type[ServiceError], str]] = MappingProxyType(
    {
        KeyRejectedError: "rejected",
        KeyDisabledError: "disabled",
        GrantRevokedError: "revoked",
    }
)


class RefusalWatch(Protocol):
    """Observes calls that were refused."""

    def refused(self, record: KeyRecord, app: SpiffeId, error: ServiceError) -> None:
        """Take note that *app* could not use the key of *record*. Never raises."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed since the last time.

    Attributes:
        dropped: How many observations had no room.
    """

    tallies: tuple[Tally, ...]
    dropped: int


class UseWatch:
    """Adds up what happens, by grant and hour, until it is taken."""

    def __init__(self, clock: Clock, *, max_tallies: int = MAX_TALLIES) -> None:
        self._clock = clock
        self._max_tallies = max_tallies
        self._tallies: dict[tuple[GrantName, int], Tally] = {}
        self._dropped = 0

    def used(self, settlement: LeaseSettlement) -> None:
        """Take note of a settled lease, unless it was not used."""
        if settlement.outcome is not LeaseOutcome.UNUSED:
            tally = self._tally(settlement.grant_name, settlement.app)
            if tally is not None:
                tally.add_use(settlement)

    def refused(self, record: KeyRecord, app: SpiffeId, error: ServiceError) -> None:
        """See `RefusalWatch.refused`; refusals of apps without a grant are those of no grant."""
        held = [grant for grant in record.grants if grant.terms.app == app]
        late_cause = _LATE_CAUSES.get(type(error), "")
        if held and (late_cause or isinstance(error, _REFUSALS)):
            # Grants are kept in order of creation: the newest is the one that was decided on.
            tally = self._tally(GrantName(record.name, held[-1].grant_id), str(app))
            if tally is not None:
                tally.add_refusal(late_cause)

    def new_network(self, grant: GrantName, app: str, network: str) -> None:
        """Take note of a use from *network*, from where the grant was never used before."""
        tally = self._tally(grant, app)
        if tally is not None:
            tally.add_network(network)

    def take(self) -> Observed:
        """Return what was observed since the last time."""
        observed = Observed(tuple(self._tallies.values()), self._dropped)
        self._tallies, self._dropped = {}, 0
        return observed

    def _tally(self, grant: GrantName, app: str) -> Tally | None:
        """Return the tally of *grant* in this hour; None if there is no room for one."""
        hour = hour_of(self._clock.now())
        tally = self._tallies.get((grant, hour))
        if tally is None:
            if len(self._tallies) >= self._max_tallies:
                self._dropped += 1
                return None
            tally = self._tallies[grant, hour] = Tally(grant, app, hour)
        return tally


class WatchedSettlements:
    """`SettlementLog` that has settlements observed, too."""

    def __init__(self, log: SettlementLog, watch: UseWatch) -> None:
        self._log = log
        self._watch = watch

    def write(self, settlement: LeaseSettlement) -> None:
        """See `SettlementLog.write`."""
        self._log.write(settlement)
        self._watch.used(settlement)


class WatchedNetworks:
    """`Notifier` that has news of networks observed, too."""

    def __init__(self, notifier: Notifier, watch: UseWatch) -> None:
        self._notifier = notifier
        self._watch = watch

    def notify(self, event: Event) -> None:
        """See `Notifier.notify`."""
        self._notifier.notify(event)
        if event.type is EventType.GRANT_NEW_NETWORK:
            grant = GrantName.parse(event.grant, "grant")
            self._watch.new_network(grant, event.app, event.facts["network"])
