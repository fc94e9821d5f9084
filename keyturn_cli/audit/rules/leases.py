"""Each opening of a key has one lease, for which the key service has just read one record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.audit.deployment import VERIFICATIONS, Act, Area, Deployment, Who
from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.lease_ids import lease_time_us
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation, duration
from keyturn_cli.audit.options import SECOND_US

# From a lease's id to its read: Vault may have been away for as long as the call has time.
_READ_DELAY_US: Final = 10 * SECOND_US
_ANSWER_WAIT_US: Final = 10 * SECOND_US  # so late come operations that nobody answered


@dataclass(slots=True)
class _Lease:
    """What was seen of one lease. Lines are 0 for what was not seen.

    Attributes:
        time_us: When it was first seen.
        read_us, read_end_us: When its record was read, and when that was answered.
        opened_us: When the gateway had Vault open the key.
        is_judged: Whether all is well so far, or all that is wrong was told.
    """

    time_us: int
    id_us: int
    read_us: int = 0
    read_end_us: int = 0
    read_log: str = ""
    read_line: int = 0
    read_request: str = ""
    read_app: str = ""
    read_key: str = ""
    has_controls: bool = False
    opened_us: int = 0
    opened_log: str = ""
    opened_line: int = 0
    opened_request: str = ""
    opened_app: str = ""
    opened_key: str = ""
    is_judged: bool = False

    def places(self) -> tuple[Place, ...]:
        """The lines of its read and its opening."""
        lines = ((self.read_log, self.read_line), (self.opened_log, self.opened_line))
        return tuple(Place(log, line) for log, line in lines if line)


@dataclass(slots=True)
class _Seen:
    """That something happened under a request id."""

    time_us: int


class Leases(OperationRule):
    """Judges a lease when its key is opened, or, if something is missing then, when its time is up.

    A lease is forgotten soon after. A later use of its id is seen all the same: the id tells
    its time, and no record was read for it just then.
    """

    def __init__(self, deployment: Deployment, span: LogSpan) -> None:
        options = deployment.options
        self._span = span
        self._transit_key = options.transit_key
        self._lease_us = options.lease_us
        self._skew_us = options.skew_us
        self._horizon_us = options.lease_us + 2 * options.skew_us + _ANSWER_WAIT_US
        self._leases = Kept(_Lease)
        self._controls = Kept(_Seen)  # by request id: what a verification reads before its lease
        self._claims = Kept(_Seen)  # by request id and key

    def see(self, operation: Operation, act: Act) -> Iterable[Finding]:
        """Look at reads by the key service, and at openings by the gateway."""
        if act.who is Who.KEY_SERVICE:
            return self._see_key_service(operation, act)
        if act.who is Who.GATEWAY and act.area is Area.TRANSIT and act.verb == "decrypt":
            return self._see_decrypt(operation, act)
        return ()

    def tick(self, now_us: int) -> Iterator[Finding]:
        """Judge what was opened and could not be judged then, and forget what is long past."""
        for lease, seen in self._leases.pop_before(now_us - self._horizon_us):
            yield from self._judge(lease, seen)
        self._controls.pop_before(now_us - self._horizon_us)
        self._claims.pop_before(now_us - self._horizon_us)

    def finish(self) -> Iterator[Finding]:
        """Judge what is left. What an opening needs stands before it."""
        for lease, seen in self._leases.pop_all():
            yield from self._judge(lease, seen)

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return [kept.state() for kept in self._all()]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        for kept, one in zip(self._all(), state, strict=True):
            kept.restore(one)

    def _all(self) -> tuple[Kept[Any], ...]:
        return (self._leases, self._controls, self._claims)

    def _see_key_service(self, operation: Operation, act: Act) -> Iterator[Finding]:
        entry = operation.entry
        if act.verb != "data" or not operation.is_done:
            return
        if act.area is Area.NOTES:
            if act.name.startswith(VERIFICATIONS) and entry.operation != "read" and entry.key:
                self._claims.put(_claim(entry.request_id, entry.key), _Seen(entry.time_us))
        elif entry.operation != "read":
            return
        elif act.area is Area.CONTROLS and not entry.lease:
            self._controls.put(entry.request_id, _Seen(entry.time_us))
        elif entry.lease:
            yield from self._see_read(operation, act)

    def _see_read(self, operation: Operation, act: Act) -> Iterator[Finding]:
        entry = operation.entry
        yield from self._malformed(operation)
        seen = self._lease(operation)
        if act.area is Area.CONTROLS:
            seen.has_controls = True
        elif operation.gave_data:
            if seen.read_line:
                yield _found("LEASE_READ_TWICE", operation, *seen.places())
                return
            seen.read_us, seen.read_end_us = operation.start_us, entry.time_us
            seen.read_log, seen.read_line = entry.place.log, entry.place.line
            seen.read_request, seen.read_app = entry.request_id, entry.app
            seen.read_key = act.name
            yield from self._wrong_time(operation, seen)
        if seen.opened_line:
            yield from self._judge_when_whole(entry.lease, seen)

    def _see_decrypt(self, operation: Operation, act: Act) -> Iterator[Finding]:
        entry = operation.entry
        if act.name != self._transit_key or operation.is_denied:
            return
        if not operation.is_done:
            yield _found("DECRYPT_FAILED", operation)
            return
        if "batch_input" in entry.data_fields:
            yield _found("DECRYPT_BATCHED", operation)
        if not entry.lease:
            yield _found("DECRYPT_WITHOUT_LEASE", operation)
            return
        yield from self._malformed(operation)
        seen = self._lease(operation)
        if seen.opened_line:
            yield _found("LEASE_OPENED_TWICE", operation, *seen.places())
            return
        seen.opened_us = operation.start_us
        seen.opened_log, seen.opened_line = entry.place.log, entry.place.line
        seen.opened_request, seen.opened_app = entry.request_id, entry.app
        seen.opened_key = entry.key
        yield from self._judge_when_whole(entry.lease, seen)

    def _lease(self, operation: Operation) -> _Lease:
        lease = operation.entry.lease
        seen = self._leases.get(lease)
        if seen is None:
            seen = _Lease(operation.start_us, lease_time_us(lease) or 0)
            self._leases.put(lease, seen)
        return seen

    def _malformed(self, operation: Operation) -> Iterator[Finding]:
        lease = operation.entry.lease
        if self._leases.get(lease) is None and lease_time_us(lease) is None:
            yield _found("LEASE_MALFORMED", operation)

    def _wrong_time(self, operation: Operation, seen: _Lease) -> Iterator[Finding]:
        if not seen.id_us:
            return
        age = seen.read_us - seen.id_us
        if not -self._skew_us <= age <= _READ_DELAY_US + self._skew_us:
            yield _found("LEASE_TIME_WRONG", operation, apart=duration(age))

    def _judge_when_whole(self, lease: str, seen: _Lease) -> Iterator[Finding]:
        if seen.read_line and self._has_controls(seen):
            yield from self._judge(lease, seen)

    def _judge(self, lease: str, seen: _Lease) -> Iterator[Finding]:
        """Tell what is wrong with the opening under *lease*, if there was one."""
        if seen.is_judged or not seen.opened_line:
            return
        seen.is_judged = True
        if not seen.read_line:
            yield from self._judge_unread(lease, seen)
            return
        is_one_log = seen.read_log == seen.opened_log  # clocks of two nodes may differ
        if seen.opened_us < seen.read_end_us - (0 if is_one_log else self._skew_us):
            yield _about("DECRYPT_BEFORE_READ", lease, seen)
        elif (late := seen.opened_us - seen.read_end_us) > self._lease_us + self._skew_us:
            yield _about("DECRYPT_LATE", lease, seen, late=duration(late))
        if not self._has_controls(seen) and not self._span.may_precede(seen.read_us):
            yield _about("CONTROLS_NOT_READ", lease, seen)
        for code, read, opened in (
            ("LEASE_APP_DIFFERS", seen.read_app, seen.opened_app),
            ("LEASE_KEY_DIFFERS", seen.read_key, seen.opened_key),
            ("LEASE_REQUEST_DIFFERS", seen.read_request, seen.opened_request),
        ):
            if read != opened:
                yield _about(code, lease, seen, read=read, opened=opened)

    def _judge_unread(self, lease: str, seen: _Lease) -> Iterator[Finding]:
        made_us = seen.id_us or seen.opened_us
        age = seen.opened_us - made_us
        if age > self._lease_us + _READ_DELAY_US + self._skew_us:
            yield _about("DECRYPT_LATE", lease, seen, late=duration(age))
        elif not self._span.may_precede(made_us):
            yield _about("DECRYPT_NOT_READ", lease, seen)

    def _has_controls(self, seen: _Lease) -> bool:
        """Return whether the controls were read for the lease, or before a verification's.

        A verification is one by what the key service wrote: it notes its claim of that key.
        """
        if seen.has_controls:
            return True
        request = seen.read_request
        claim = self._claims.get(_claim(request, seen.read_key))
        return claim is not None and self._controls.get(request) is not None


def _claim(request_id: str, key: str) -> str:
    return f"{request_id} {key}"


def _found(code: str, operation: Operation, *others: Place, **facts: str) -> Finding:
    places = (*others, *operation.places)
    return Finding(code, operation.entry.time_us, places, operation.facts(**facts))


def _about(code: str, lease: str, seen: _Lease, **facts: str) -> Finding:
    known = {
        "lease": lease,
        "key": seen.opened_key,
        "app": seen.opened_app,
        "request_id": seen.opened_request,
    }
    return Finding(code, seen.opened_us, seen.places(), known | facts)
