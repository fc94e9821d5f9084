"""Everything that touched one key, in the order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keyturn_cli.audit.deployment import Act, Area, Deployment, Who
from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.key_event import OK, KeyEvent, is_frequent, outcome_of, words_of
from keyturn_cli.audit.key_uses import KeyUse, KeyUses, UseKind
from keyturn_cli.audit.operation_feed import OperationFeed
from keyturn_cli.audit.operations import Operation, who
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.report import owner_of
from keyturn_cli.audit.time_span import ALWAYS, TimeSpan
from keyturn_cli.audit.verifier import Verifier

MAX_EVENTS: Final = 20_000  # and as many findings

_KEY_SERVICE: Final = "keyvault-svc"
_EVERYTHING: Final = "*"  # what an operator can stop at once
_HOUR_US: Final = 3600 * SECOND_US
_CALL_US: Final = 120 * SECOND_US  # longer than any call of the key service, and clocks differ
_TOLD: Final = frozenset(
    {"key_shared", "suspended", "resumed", "verification_failed", "anomaly", "used_elsewhere"}
)


@dataclass(slots=True)
class _Touched:
    """What one request did, until the service's record says whose call it was."""

    time_us: int
    events: list[KeyEvent] = field(default_factory=list)


@dataclass(slots=True)
class _Reason:
    time_us: int
    reason: str


class KeyHistory:
    """Collects what touched one key, and what the verification finds of it, in bounded memory.

    An opening that names no key may be of any, and so is told of each.

    Attributes:
        findings: Of the key, in the order in which they were found.
        left_out_count: Events and findings that were too many to keep.
    """

    def __init__(
        self,
        key: str,
        deployment: Deployment,
        span: TimeSpan = ALWAYS,
        *,
        is_whole: bool = False,
        max_events: int = MAX_EVENTS,
    ) -> None:
        """Collect what touched *key* in *span*; if it *is_whole*, each use is an event.

        Else uses and other daily business that are alike make one event an hour.
        """
        self._key = key
        self._deployment = deployment
        self._span = span
        self._is_whole = is_whole
        self._max_events = max_events
        self._verifier = Verifier(deployment.options)
        self._feed = OperationFeed(deployment.options.skew_us)
        self._uses = KeyUses(deployment, self._feed.span)
        self._events: list[KeyEvent] = []
        self._by_hour: dict[tuple[int | str, ...], KeyEvent] = {}
        self._touched = Kept(_Touched)  # by request id
        self._reasons = Kept(_Reason)  # of refusals, by request id and app
        self.findings: list[Finding] = []
        self.left_out_count = 0

    def see_vault(self, entry: VaultEntry) -> None:
        """Take the next entry of Vault's audit log."""
        self._find(self._verifier.see_vault(entry))
        for operation in self._feed.see(entry):
            self._see(operation)

    def see_service(self, record: ServiceRecord) -> None:
        """Take the next record of a service's log."""
        self._find(self._verifier.see_service(record))
        event = record.text("event")
        if event == "rpc" and record.text("service") == _KEY_SERVICE:
            self._see_call(record)
        elif event in _TOLD and self._is_of_key(record):
            told = map(record.text, ("outcome", "reason", "cause", "other_key"))
            self._add(_of_record(record, event, next(filter(None, told), OK)))

    def finish(self) -> list[KeyEvent]:
        """Take the end of the logs, and return all events in the order of time."""
        self._find(self._verifier.finish())
        for operation in self._feed.finish():
            self._see(operation)
        for use in self._uses.finish():
            self._use(use)
        return sorted(self._events, key=lambda event: event.time_us)

    def _see(self, operation: Operation) -> None:
        entry, act = operation.entry, self._deployment.act(operation.entry)
        for use in self._uses.see(operation, act):
            self._use(use)
        what = words_of(operation, act, self._key)
        if what and not self._is_of_use(operation, act):
            event = KeyEvent(
                *(operation.start_us, operation.start_us, what, who(entry), entry.app),
                outcome=outcome_of(operation),
                request_id=entry.request_id,
                source=f"{entry.place.log}:{entry.place.line}",
            )
            if self._add(event, is_frequent=is_frequent(what, act.who)):
                self._touch(event)
        self._touched.pop_before(entry.time_us - _CALL_US)
        self._reasons.pop_before(entry.time_us - _CALL_US)

    def _is_of_use(self, operation: Operation, act: Act) -> bool:
        """Return whether *operation* is told as part of a use."""
        entry = operation.entry
        if act.area is Area.TRANSIT:
            is_opening = act.verb == "decrypt" and act.name == self._deployment.options.transit_key
            return is_opening and operation.is_done
        is_read = act.area is Area.RECORD and act.verb == "data" and entry.operation == "read"
        return is_read and act.who is Who.KEY_SERVICE and bool(entry.lease)

    def _use(self, use: KeyUse) -> None:
        if use.key and use.key != self._key:
            return
        what, outcome = "opened", OK
        if use.kind is UseKind.REFUSED:
            refused = self._reasons.get(_call(use.request_id, use.app))
            what, outcome = "not opened", refused.reason if refused else "refused"
        if use.is_verification:
            what = f"{what} to verify it"
        if use.is_irregular:
            what = f"{what} past the rules" if use.key else "some key opened past the rules"
        event = KeyEvent(
            *(use.time_us, use.time_us, what, use.who, use.app),
            outcome=outcome,
            request_id=use.request_id,
        )
        self._add(event, is_frequent=not use.is_irregular)

    def _see_call(self, record: ServiceRecord) -> None:
        """Take a call of the key service: it says who was behind what the request did."""
        if record.text("key") != self._key:
            return
        method, reason = record.text("method").rpartition("/")[2], record.text("reason")
        request_id = record.text("request_id")
        touched = self._touched.pop(request_id)
        for event in touched.events if touched else ():
            event.cause = f"{method} by {record.text('caller')}"
        if method == "AcquireLease":
            if reason:
                told = _Reason(record.time_us, reason)
                self._reasons.put(_call(request_id, record.text("app")), told)
        elif reason:
            self._add(_of_record(record, f"call refused: {method}", reason), is_frequent=True)
        elif method == "ReportVerification":
            self._add(_of_record(record, "verification", record.text("outcome")))

    def _is_of_key(self, record: ServiceRecord) -> bool:
        key, owner = record.text("key"), record.text("owner")
        return key in {self._key, _EVERYTHING} or (not key and owner == owner_of(self._key))

    def _touch(self, event: KeyEvent) -> None:
        """Keep *event* until its call is known."""
        if event.request_id:
            touched = self._touched.get(event.request_id)
            if touched is None:
                touched = _Touched(event.time_us)
                self._touched.put(event.request_id, touched)
            touched.events.append(event)

    def _add(self, event: KeyEvent, *, is_frequent: bool = False) -> bool:
        """Take *event*; return whether it stands for itself and is kept."""
        if not self._span.holds(event.time_us):
            return False
        alike = None
        if is_frequent and not self._is_whole:
            hour = event.time_us // _HOUR_US
            alike = (hour, event.what, event.who, event.app, event.outcome)
            known = self._by_hour.get(alike)
            if known is not None:
                known.count += 1
                known.time_us = min(known.time_us, event.time_us)
                known.last_us = max(known.last_us, event.time_us)
                return False
        if len(self._events) >= self._max_events:
            self.left_out_count += 1
            return False
        if alike is not None:
            self._by_hour[alike] = event
        self._events.append(event)
        return alike is None

    def _find(self, findings: list[Finding]) -> None:
        for finding in findings:
            if self._span.holds(finding.time_us) and self._is_named(finding.facts):
                if len(self.findings) < self._max_events:
                    self.findings.append(finding)
                else:
                    self.left_out_count += 1

    def _is_named(self, facts: Mapping[str, str]) -> bool:
        """Return whether *facts* name the key, or a path that ends with it."""
        return any(
            value == self._key or value.endswith(f"/{self._key}") for value in facts.values()
        )


def _of_record(record: ServiceRecord, what: str, outcome: str) -> KeyEvent:
    return KeyEvent(
        *(record.time_us, record.time_us, what, record.text("caller") or record.text("service")),
        app=record.text("app"),
        outcome=outcome,
        request_id=record.text("request_id"),
        source=f"{record.place.log}:{record.place.line}",
    )


def _call(request_id: str, app: str) -> str:
    return f"{request_id} {app}"
