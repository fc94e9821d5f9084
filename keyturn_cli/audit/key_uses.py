"""What became of each lease: its key was opened, or it was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keyturn_cli.audit.deployment import VERIFICATIONS, Act, Area, Deployment, Who
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operations import Operation, who
from keyturn_cli.audit.options import SECOND_US

_ANSWER_WAIT_US: Final = 10 * SECOND_US  # so late come operations that nobody answered


class UseKind(StrEnum):
    """What became of a lease."""

    OPENED = "opened"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The end of one lease, or an opening that had none.

    Attributes:
        time_us: When Vault was asked to open the key; of a refusal, when the record was read.
        kind: Whether the key was opened.
        key: By the path of the record that was read for it; else as the opening itself says.
        app: As the key service named it when it read the record; else as the opening says.
        who: Who opened it, or read the record.
        is_verification: Whether the key service had claimed it to have the key tried.
        is_irregular: Whether it was opened past the rules: `keyturn audit verify` tells how.
    """

    time_us: int
    kind: UseKind
    key: str
    app: str
    lease: str
    request_id: str
    who: str
    is_verification: bool
    is_irregular: bool


@dataclass(slots=True)
class _Lease:
    """What was seen of one lease; times are 0 for what was not seen.

    Attributes:
        is_allowed: Whether the opening was the gateway's, and the first under a lease.
    """

    time_us: int
    read_us: int = 0
    read_key: str = ""
    read_app: str = ""
    read_by: str = ""
    opened_us: int = 0
    opened_key: str = ""
    opened_app: str = ""
    opened_by: str = ""
    is_allowed: bool = False
    request_id: str = ""
    is_told: bool = False


@dataclass(slots=True)
class _Claim:
    time_us: int


class KeyUses:
    """Joins reads of records and openings of keys by their lease, in bounded memory.

    An opening is told when the read of its record is known too; what is missing one of both, when
    no line can show it any more.
    """

    def __init__(self, deployment: Deployment, span: LogSpan) -> None:
        options = deployment.options
        self._span = span
        self._transit_key = options.transit_key
        self._horizon_us = options.lease_us + 2 * options.skew_us + _ANSWER_WAIT_US
        self._leases = Kept(_Lease)
        self._claims = Kept(_Claim)  # of verifications, by request id and key
        self._next_tick_us = 0

    def see(self, operation: Operation, act: Act) -> Iterator[KeyUse]:
        """Yield what *operation* makes certain."""
        entry = operation.entry
        if act.area is Area.TRANSIT and act.verb == "decrypt" and act.name == self._transit_key:
            yield from self._see_opening(operation, act)
        elif act.who is Who.KEY_SERVICE and act.verb == "data":
            if act.area is Area.RECORD and entry.operation == "read" and entry.lease:
                yield from self._see_read(operation, act)
            elif act.name.startswith(VERIFICATIONS) and entry.operation != "read":
                self._claims.put(_claim(entry.request_id, entry.key), _Claim(entry.time_us))
        if entry.time_us >= self._next_tick_us:
            self._next_tick_us = entry.time_us + SECOND_US
            yield from self._forget(entry.time_us - self._horizon_us)

    def finish(self) -> Iterator[KeyUse]:
        """Yield what is left."""
        for lease, seen in self._leases.pop_all():
            yield from self._told(lease, seen)

    def _see_read(self, operation: Operation, act: Act) -> Iterator[KeyUse]:
        entry = operation.entry
        seen = self._lease(operation)
        if seen.read_us:
            return
        seen.read_us, seen.read_key, seen.read_app = operation.start_us, act.name, entry.app
        seen.read_by, seen.request_id = who(entry), entry.request_id
        if seen.opened_us:
            yield from self._told(entry.lease, seen)

    def _see_opening(self, operation: Operation, act: Act) -> Iterator[KeyUse]:
        if not operation.is_done:
            return  # the lease ends without an opening, if no other comes
        entry = operation.entry
        seen = self._lease(operation) if entry.lease else _Lease(operation.start_us)
        is_again = seen.opened_us > 0
        if is_again:  # a use of its own, and one that may not be
            seen = _Lease(operation.start_us, seen.read_us, seen.read_key, seen.read_app)
        seen.opened_us, seen.opened_by = operation.start_us, who(entry)
        seen.opened_key, seen.opened_app = entry.key, entry.app
        seen.request_id = seen.request_id or entry.request_id
        seen.is_allowed = act.who is Who.GATEWAY and not is_again and bool(entry.lease)
        if seen.read_us or not seen.is_allowed:
            yield from self._told(entry.lease, seen)

    def _lease(self, operation: Operation) -> _Lease:
        lease = operation.entry.lease
        seen = self._leases.get(lease)
        if seen is None:
            seen = _Lease(operation.start_us)
            self._leases.put(lease, seen)
        return seen

    def _forget(self, before_us: int) -> Iterator[KeyUse]:
        for lease, seen in self._leases.pop_before(before_us):
            yield from self._told(lease, seen)
        self._claims.pop_before(before_us - self._horizon_us)

    def _told(self, lease: str, seen: _Lease) -> Iterator[KeyUse]:
        if seen.is_told:
            return
        seen.is_told = True
        key, app = seen.read_key or seen.opened_key, seen.read_app or seen.opened_app
        yield KeyUse(
            seen.opened_us or seen.read_us,
            UseKind.OPENED if seen.opened_us else UseKind.REFUSED,
            key,
            app,
            lease,
            seen.request_id,
            seen.opened_by or seen.read_by,
            is_verification=self._claims.get(_claim(seen.request_id, key)) is not None,
            is_irregular=bool(seen.opened_us) and self._is_irregular(seen),
        )

    def _is_irregular(self, seen: _Lease) -> bool:
        if not seen.is_allowed:
            return True
        if not seen.read_us:
            return not self._span.may_precede(seen.opened_us)
        return (seen.read_key, seen.read_app) != (seen.opened_key, seen.opened_app)


def _claim(request_id: str, key: str) -> str:
    return f"{request_id} {key}"
