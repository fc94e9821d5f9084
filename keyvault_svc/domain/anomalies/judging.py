"""The use case: compare what was observed with the baselines, and act on what is unusual."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from keyvault_svc.domain.anomalies.baseline_store import BaselineStore, Change
from keyvault_svc.domain.anomalies.policy import AnomalyKind, AnomalyPolicy
from keyvault_svc.domain.anomalies.profile import Profile
from keyvault_svc.domain.anomalies.rules import Finding, Sight, findings
from keyvault_svc.domain.anomalies.tally import Tally
from keyvault_svc.domain.anomalies.watch import UseWatch
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.events import Event, EventType, Notifier
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.domain.ports import AuditTags, KeyStore
from svc_runtime.clock import Clock
from svc_runtime.service_error import ServiceError

_AT_ONCE: Final = 8  # tallies under way: leases need the store, too
_MAX_WAITING: Final = 1000  # suspensions that failed
_MAX_WHO: Final = 2**52  # both stores keep such a number exactly
_TOLD: Final = "told"
_STOPPED: Final = "stopped"
_SUSPENDED: Final = "; the key is suspended"


class AnomalyLog(Protocol):
    """Tells security of what is unusual."""

    def found(self, grant: GrantName, app: str, finding: Finding) -> None:
        """Tell of *finding*."""

    def not_suspended(self, key: KeyName, error: ServiceError) -> None:
        """Tell that *key* could not be suspended yet."""

    def dropped(self, count: int) -> None:
        """Tell that *count* observations did not get into the baselines."""


class KeySuspender(Protocol):
    """Stops a key."""

    async def suspend_unusual(self, key: KeyName, reason: str, request_id: str) -> object:
        """Stop *key*; it stays stopped until an operator resumes it. Idempotent.

        Raises:
            ServiceError: It could not be done.
        """


@dataclass(frozen=True, slots=True)
class _Stop:
    """A suspension that findings ask for."""

    tally: Tally
    findings: tuple[Finding, ...]

    @property
    def key(self) -> KeyName:
        return self.tally.grant.key

    @property
    def reason(self) -> str:
        """What operators read."""
        first = self.findings[0]
        return f"anomaly {first.kind} of grant {self.tally.grant.grant_id}: {first.what}"


@dataclass(frozen=True, slots=True)
class JudgingDoors:
    """What judging reads and keeps, and whom it tells."""

    baselines: BaselineStore
    keys: KeyStore
    suspender: KeySuspender
    notifier: Notifier
    log: AnomalyLog


class AnomalyJudging:
    """Judges what was observed."""

    def __init__(
        self, watch: UseWatch, doors: JudgingDoors, policy: AnomalyPolicy, clock: Clock
    ) -> None:
        self._watch = watch
        self._store = doors.baselines
        self._keys = doors.keys
        self._suspender = doors.suspender
        self._notifier = doors.notifier
        self._log = doors.log
        self._policy = policy
        self._clock = clock
        self._waiting: dict[KeyName, _Stop] = {}  # for Vault, to be suspended

    async def run(self, request_id: str) -> None:
        """Judge everything that was observed since the last run.

        While the store is away, observations are dropped and counted: they neither pile up, nor
        keep a lease waiting.

        Raises:
            Exception: The first fault of this code that a grant brought to light.
        """
        await self._suspend_waiting(request_id)
        observed = self._watch.take()
        queue = list(reversed(observed.tallies))
        dropped = observed.dropped
        faults: list[Exception] = []

        async def work() -> None:
            nonlocal dropped
            while queue:
                tally = queue.pop()
                try:
                    await self._judge(tally, request_id)
                except LimitStoreUnavailableError:
                    dropped += sum(lost.count for lost in (tally, *queue))
                    queue.clear()
                except ServiceError:
                    dropped += tally.count
                except Exception as fault:  # noqa: BLE001 - one grant's must not cost the others theirs
                    dropped += tally.count
                    faults.append(fault)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        if dropped:
            self._log.dropped(dropped)
        if faults:
            raise faults[0]

    async def _judge(self, tally: Tally, request_id: str) -> None:
        """Add *tally* to its baseline, and act on what is unusual about it.

        1. Add it, and compare. A baseline is only begun for a grant that is there: an owner may
           have been erased since the use.
        2. Suspend the key, unless findings of these kinds suspended it today: an operator who
           resumed it since has decided otherwise.
        3. Claim the findings, each of which one replica tells once a day, and remember that the
           key was suspended. Not before it was: a replica that died between the two would leave it
           in use.
        4. Tell what was claimed. If the store is away by now, tell all: better twice than never.
        """
        figures = await self._store.read(tally.grant.key.owner, tally.grant.grant_id)
        if not figures and not await self._is_there(tally.grant, request_id):
            return
        before = self._profile(tally, figures)
        after = await self._change(tally, [*before.outdated(), *before.additions(tally)])  # (1)
        found = findings(Sight(before, after, tally, self._policy))
        stops = tuple(f for f in found if self._is_to_suspend(f.kind, after))
        is_stopped = bool(stops) and await self._suspend(_Stop(tally, stops), request_id)  # (2)
        who = _new_mark()
        marks = [after.marking(_TOLD, finding.kind, who) for finding in found]
        if is_stopped:
            marks += [after.marking(_STOPPED, finding.kind, who) for finding in stops]
        mine = found
        try:
            marked = await self._change(tally, [*after.peaks(), *marks])  # (3)
            mine = [finding for finding in found if marked.mark(_TOLD, finding.kind) == who]
        except LimitStoreUnavailableError:
            pass
        for finding in mine:  # (4)
            self._tell(tally, finding, is_stopped=is_stopped and finding in stops)

    async def _is_there(self, grant: GrantName, request_id: str) -> bool:
        record = await self._keys.read(grant.key, AuditTags(request_id, str(grant.key)))
        return record is not None and grant.grant_id in {held.grant_id for held in record.grants}

    def _is_to_suspend(self, kind: AnomalyKind, profile: Profile) -> bool:
        return kind in self._policy.suspends and profile.mark(_STOPPED, kind) is None

    async def _suspend(self, stop: _Stop, request_id: str) -> bool:
        """Suspend a key; if that cannot be done now, keep it in mind for the next run."""
        try:
            await self._suspender.suspend_unusual(stop.key, stop.reason, request_id)
        except ServiceError as error:
            self._log.not_suspended(stop.key, error)
            if len(self._waiting) < _MAX_WAITING:
                self._waiting.setdefault(stop.key, stop)
            return False
        return True

    async def _suspend_waiting(self, request_id: str) -> None:
        """Suspend what waits, until one fails: while Vault is away, each would take seconds."""
        for stop in tuple(self._waiting.values()):
            del self._waiting[stop.key]
            if not await self._suspend(stop, request_id):  # it waits behind the others now
                return
            profile = self._profile(stop.tally, {})
            who = _new_mark()
            marks = [profile.marking(_STOPPED, f.kind, who) for f in stop.findings]
            with contextlib.suppress(LimitStoreUnavailableError):
                await self._change(stop.tally, marks)  # else: suspended once more today, at worst

    def _tell(self, tally: Tally, finding: Finding, *, is_stopped: bool) -> None:
        self._log.found(tally.grant, tally.app, finding)
        if finding.kind is AnomalyKind.NEW_NETWORK:
            return  # of which there is an event of its own
        key = tally.grant.key
        what = finding.what + (_SUSPENDED if is_stopped else "")
        self._notifier.notify(
            Event(
                EventType.ANOMALY,
                key.owner,
                str(key),
                str(tally.grant),
                tally.app,
                self._clock.now(),
                {"what": what},
            )
        )

    async def _change(self, tally: Tally, changes: Sequence[Change]) -> Profile:
        figures = await self._store.change(
            tally.grant.key.owner, tally.grant.grant_id, changes, self._clock.now()
        )
        return self._profile(tally, figures)

    def _profile(self, tally: Tally, figures: Mapping[str, int]) -> Profile:
        return Profile(figures, tally.hour, self._policy.window_days)


def _new_mark() -> int:
    """Return a number that no other replica comes to: whose mark it is, a store keeps."""
    return 1 + secrets.randbelow(_MAX_WHO)
