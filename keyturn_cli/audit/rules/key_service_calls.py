"""What key services' logs say of leases and writes, beside what Vault's log says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.audit.deployment import VERIFICATIONS, Act, Area, Deployment, Who
from keyturn_cli.audit.entries import Place, ServiceRecord
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US
from keyturn_cli.audit.rules.said import Said, differences
from keyturn_cli.audit.service_span import PATIENCE_US, ServiceSpan

_SERVICE: Final = "keyvault-svc"
_CALL_US: Final = 60 * SECOND_US  # longer than any call of the key service
_OPERATORS: Final = "/keyturn.keyvault.v1.OperatorService/"
# Calls that write no record, by the names of their methods.
_READING: Final = ("Get", "List", "Export", "AcquireLease", "CheckLease", "SettleLease")
_UPKEEP: Final = "upkeep"  # what a key service does by itself, under a request id of its own


@dataclass(slots=True)
class _Read(Said):
    """A read under a lease.

    Attributes:
        is_claim: Whether it belongs to a claim of a verification, which may come to nothing, and
            then leaves no record.
    """

    is_claim: bool = False
    is_opened: bool = False


@dataclass(slots=True)
class _Write:
    time_us: int
    log: str
    line: int
    request_id: str
    path: str
    is_controls: bool
    is_of_another_call: bool = False


@dataclass(slots=True)
class _Call:
    """A call that may write, by its request id; `time_us` is its end."""

    time_us: int
    start_us: int
    method: str


@dataclass(slots=True)
class _Seen:
    time_us: int


class KeyServiceCalls(OperationRule):
    """Joins reads under leases by the lease, and writes by the request id."""

    def __init__(self, deployment: Deployment) -> None:
        self._skew_us = deployment.options.skew_us
        self._wait_us = _CALL_US + 2 * self._skew_us
        self._span = ServiceSpan(_SERVICE, self._skew_us)
        self._reads = Kept(_Read)
        self._leases = Kept(Said)  # records whose read was not seen yet
        self._writes = Kept(_Write)
        self._calls = Kept(_Call)
        self._claims = Kept(_Seen)  # request ids under which an entry of the queue was read

    def see(self, operation: Operation, act: Act) -> Iterable[Finding]:
        """Look at what the key service reads and writes, and at what the gateway opens."""
        entry = operation.entry
        if act.who is Who.GATEWAY and act.verb == "decrypt":
            read = self._reads.get(entry.lease)
            if read is not None:
                read.is_opened = True
        elif act.who is Who.KEY_SERVICE and act.verb == "data" and operation.is_done:
            if entry.operation != "read":
                self._see_write(operation, act)
            elif act.area is Area.NOTES and act.name.startswith(VERIFICATIONS):
                self._claims.put(entry.request_id, _Seen(entry.time_us))
            elif act.area is Area.RECORD and entry.lease:
                return self._see_read(operation)
        return ()

    def see_service(self, record: ServiceRecord) -> Iterable[Finding]:
        """Look at records of the key service."""
        if not self._span.see(record):
            return ()
        method = record.text("method")
        if record.text("event") == "lease_settled":
            return _unsettled(record)
        if record.text("event").startswith(_UPKEEP):
            self._see_work(record, _Call(record.time_us, record.time_us - _CALL_US, method))
        elif method and not method.rpartition("/")[2].startswith(_READING):
            lasted = record.fields.get("duration_ms")
            lasted_us = int(lasted * 1000) if isinstance(lasted, int | float) else 0
            self._see_work(record, _Call(record.time_us, record.time_us - lasted_us, method))
        if record.text("lease") or (record.text("event") == "rpc" and "Lease" in method):
            return self._see_lease(record)
        return ()

    def tick(self, now_us: int) -> Iterator[Finding]:
        """Tell of what has no record."""
        for lease, read in self._reads.pop_before(now_us - PATIENCE_US):
            yield from self._unrecorded(lease, read)
        for _, write in self._writes.pop_before(now_us - PATIENCE_US):
            yield from self._judge_write(write)
        for kept in (self._calls, self._leases, self._claims):
            kept.pop_before(now_us - self._wait_us)

    def finish(self) -> Iterator[Finding]:
        """Tell of what is left."""
        for lease, read in self._reads.pop_all():
            yield from self._unrecorded(lease, read)
        for _, write in self._writes.pop_all():
            yield from self._judge_write(write)

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return [self._span.state(), *(kept.state() for kept in self._all())]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        span, *states = state
        self._span.restore(span)
        for kept, one in zip(self._all(), states, strict=True):
            kept.restore(one)

    def _all(self) -> tuple[Kept[Any], ...]:
        return (self._reads, self._leases, self._writes, self._calls, self._claims)

    def _see_read(self, operation: Operation) -> Iterable[Finding]:
        entry = operation.entry
        read = _Read.of_operation(operation)
        told = self._leases.pop(entry.lease) or self._leases.pop(_refused(read))
        if told is not None:
            return differences(_SERVICE, entry.lease, read, told)
        if self._span.may_tell(operation.start_us) and self._reads.get(entry.lease) is None:
            read.is_claim = self._claims.get(entry.request_id) is not None
            self._reads.put(entry.lease, read)
        return ()

    def _see_write(self, operation: Operation, act: Act) -> None:
        entry = operation.entry
        if act.area in {Area.RECORD, Area.CONTROLS} and self._span.may_tell(operation.start_us):
            is_controls = act.area is Area.CONTROLS
            place = entry.place
            write = _Write(
                operation.start_us, place.log, place.line, entry.request_id, act.path, is_controls
            )
            call = self._calls.get(entry.request_id)
            if call is None or not self._explains(call, write):
                self._writes.put(entry.operation_id, write)

    def _see_work(self, record: ServiceRecord, call: _Call) -> None:
        """Find what the call wrote; keep it, for what it wrote may come by another clock."""
        request_id = record.text("request_id")
        written = [(key, w) for key, w in self._writes if w.request_id == request_id]
        for key, write in written:
            write.is_of_another_call = True
            if self._explains(call, write):
                self._writes.pop(key)
        self._calls.put(request_id, call)

    def _explains(self, call: _Call, write: _Write) -> bool:
        is_then = call.start_us - self._skew_us <= write.time_us <= call.time_us + self._skew_us
        return is_then and (not write.is_controls or call.method.startswith(_OPERATORS))

    def _see_lease(self, record: ServiceRecord) -> Iterable[Finding]:
        lease, told = record.text("lease"), Said.of_record(record)
        read = self._reads.pop(lease) if lease else None
        if read is not None:
            return differences(_SERVICE, lease, read, told)
        if not lease:
            for other, waiting in self._reads:
                if waiting.matches(told):  # a refused call has no lease to name
                    self._reads.pop(other)
                    return ()
        self._leases.put(lease or _refused(told), told)
        return ()

    def _unrecorded(self, lease: str, read: _Read) -> Iterator[Finding]:
        is_work = not read.is_claim or read.is_opened
        if is_work and self._span.must_have_told(read.time_us, _CALL_US):
            facts = {"lease": lease, "request_id": read.request_id, "key": read.key}
            place = Place(read.log, read.line)
            yield Finding("LEASE_NOT_RECORDED", read.time_us, (place,), facts)

    def _judge_write(self, write: _Write) -> Iterator[Finding]:
        if self._span.must_have_told(write.time_us, _CALL_US):
            is_of_another = write.is_controls and write.is_of_another_call
            code = "CONTROLS_NOT_BY_OPERATOR" if is_of_another else "WRITE_NOT_RECORDED"
            facts = {"path": write.path, "request_id": write.request_id}
            yield Finding(code, write.time_us, (Place(write.log, write.line),), facts)


def _refused(said: Said) -> str:
    return f"{said.request_id} {said.app} {said.key}"


def _unsettled(record: ServiceRecord) -> Iterator[Finding]:
    if record.text("outcome") == "unsettled":
        facts = {"lease": record.text("lease"), "key": record.text("key")}
        yield Finding("LEASE_UNSETTLED", record.time_us, (record.place,), facts)
