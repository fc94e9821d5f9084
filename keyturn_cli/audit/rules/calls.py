"""What gateways' logs say of calls, beside what Vault's log says of openings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.audit.deployment import Act, Area, Deployment, Who
from keyturn_cli.audit.entries import Place, ServiceRecord
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.lease_ids import lease_time_us
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.rules.said import Said, differences
from keyturn_cli.audit.service_span import PATIENCE_US, ServiceSpan

_SERVICE: Final = "gateway-svc"
_NOTE: Final = "key_opening"  # written before Vault is asked
_CALLS: Final = frozenset({"rpc", "http"})
_ENDS: Final = frozenset({*_CALLS, "key_verified", "verification_failed", "usage_asked"})
_ANSWER_WAIT_US: Final = 10 * SECOND_US


@dataclass(slots=True)
class _Opened(Said):
    """An opening of a call that has not ended.

    Attributes:
        is_noted: Whether the gateway said before that it would.
    """

    is_noted: bool = False


class Calls(OperationRule):
    """Joins openings and gateways' records by the lease.

    A gateway notes an opening before it, and the call when it ends, which may take an hour.
    """

    def __init__(self, deployment: Deployment, vault_span: LogSpan) -> None:
        options = deployment.options
        self._transit_key = options.transit_key
        self._call_us = options.call_us
        self._wait_us = 2 * options.skew_us + _ANSWER_WAIT_US
        self._vault_span = vault_span
        self._span = ServiceSpan(_SERVICE, options.skew_us)
        self._opened = Kept(_Opened)
        self._notes = Kept(Said)
        self._ends = Kept(Said)  # of calls whose opening was not seen yet: clocks differ
        self._failed = Kept(_Opened)  # openings of calls whose records name no lease
        self._has_notes = False

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at openings by the gateway."""
        entry = operation.entry
        is_opening = act.area is Area.TRANSIT and act.verb == "decrypt"
        if act.who is not Who.GATEWAY or not is_opening or not operation.is_done:
            return
        if act.name != self._transit_key or not entry.lease:
            return
        opened = _Opened.of_operation(operation)
        note, end = self._notes.pop(entry.lease), self._ends.pop(entry.lease)
        for told in (note, end):
            if told is not None:
                yield from differences(_SERVICE, entry.lease, opened, told)
        if end is None and self._span.may_tell(operation.start_us):
            opened.is_noted = note is not None
            self._opened.put(entry.lease, opened)

    def see_service(self, record: ServiceRecord) -> Iterable[Finding]:
        """Look at notes of openings, and at records of calls and verifications."""
        if not self._span.see(record):
            return ()
        lease, event = record.text("lease"), record.text("event")
        if lease and event == _NOTE:
            return self._see_note(lease, Said.of_record(record))
        if event in _ENDS:
            is_sent = event in _CALLS and bool(record.fields.get("http_status"))
            return self._see_end(lease, Said.of_record(record), is_sent=is_sent)
        return ()

    def tick(self, now_us: int) -> Iterator[Finding]:
        """Tell of openings without a record, and of records without an opening."""
        for lease, opened in self._opened.pop_before(now_us - self._call_us):
            if self._span.has_told(opened.time_us):
                yield _found("CALL_NOT_RECORDED", lease, opened)
        yield from self._unnoted(now_us - PATIENCE_US)
        for lease, told in self._ends.pop_before(now_us - self._wait_us):
            yield from self._unopened(lease, told)
        self._notes.pop_before(now_us - self._wait_us)
        self._failed.pop_before(now_us - PATIENCE_US)

    def finish(self) -> Iterator[Finding]:
        """Tell of what is left. A gateway that has ended has no call under way."""
        yield from self._unnoted(self._vault_span.last_us + 1)
        code = "CALL_NOT_RECORDED" if self._span.has_ended else "CALL_OPEN_AT_END"
        for lease, opened in self._opened.pop_all():
            if self._span.has_told(opened.time_us):
                yield _found(code, lease, opened)
        for lease, told in self._ends.pop_all():
            yield from self._unopened(lease, told)

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return [self._span.state(), self._has_notes, *(kept.state() for kept in self._all())]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        span, self._has_notes, *states = state
        self._span.restore(span)
        for kept, one in zip(self._all(), states, strict=True):
            kept.restore(one)

    def _all(self) -> tuple[Kept[Any], ...]:
        return (self._opened, self._notes, self._ends, self._failed)

    def _see_note(self, lease: str, note: Said) -> Iterator[Finding]:
        self._has_notes = True
        opened = self._opened.get(lease)
        if opened is None:
            self._notes.put(lease, note)
        else:
            opened.is_noted = True
            yield from differences(_SERVICE, lease, opened, note)

    def _see_end(self, lease: str, end: Said, *, is_sent: bool) -> Iterator[Finding]:
        if not lease:
            self._see_failure(end)
            return
        opened = self._opened.pop(lease) or self._failed.pop(lease)
        if opened is not None:
            yield from differences(_SERVICE, lease, opened, end)
        elif is_sent:
            self._ends.put(lease, end)

    def _see_failure(self, end: Said) -> None:
        """Take a record that names no lease: what it was refused for may have come after one.

        A call that has the same request id may still be under way, and its record come.
        """
        for lease, opened in self._opened:
            if opened.matches(end):
                self._opened.pop(lease)
                self._failed.put(lease, opened)
                return

    def _unnoted(self, before_us: int) -> Iterator[Finding]:
        """Tell of openings before *before_us* that no gateway noted, if gateways note them."""
        unnoted = []
        for lease, opened in self._opened:
            if opened.time_us >= before_us:
                break
            if self._has_notes and not opened.is_noted:
                unnoted.append(lease)
        for lease in unnoted:
            forgotten = self._opened.pop(lease)
            if forgotten and self._span.must_have_told(forgotten.time_us, self._wait_us):
                yield _found("CALL_NOT_RECORDED", lease, forgotten)

    def _unopened(self, lease: str, told: Said) -> Iterator[Finding]:
        """Tell of a record without an opening, if both logs cover the time of its lease."""
        made_us = lease_time_us(lease) or told.time_us
        span = self._vault_span
        is_covered = span.first_us > 0 and not span.may_precede(made_us)
        if is_covered and made_us <= span.last_us and self._span.has_told(made_us):
            yield _found("CALL_WITHOUT_DECRYPT", lease, told)


def _found(code: str, lease: str, said: Said) -> Finding:
    facts = {"lease": lease, "request_id": said.request_id, "app": said.app, "key": said.key}
    return Finding(code, said.time_us, (Place(said.log, said.line),), facts)
