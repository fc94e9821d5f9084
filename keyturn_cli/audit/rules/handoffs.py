"""A wrapped key is taken once, by the gateway, under the lease that it was wrapped for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyturn_cli.audit.deployment import Act, Area, Deployment, Who
from keyturn_cli.audit.entries import Place
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.lease_ids import lease_time_us
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation, duration
from keyturn_cli.audit.options import SECOND_US

_TOUCHES: Final = frozenset({"unwrap", "rewrap", "lookup"})


@dataclass(slots=True)
class _Wrapped:
    """A wrapping token, by the hash that one audit device writes of it."""

    time_us: int
    lease: str


@dataclass(slots=True)
class _Handoff:
    """What was seen of one lease's hand-off. The line is 0 while it is not taken."""

    time_us: int
    is_wrapped: bool = False
    taken_us: int = 0
    taken_log: str = ""
    taken_line: int = 0


class Handoffs(OperationRule):
    """Follows wrapping tokens by their hash, and leases by their id.

    Each audit device hashes by a key of its own, so that a token is known again only in the log of
    the device that showed it first; leases are known in all.
    """

    def __init__(self, deployment: Deployment, span: LogSpan) -> None:
        options = deployment.options
        self._span = span
        self._lease_us = options.lease_us
        self._skew_us = options.skew_us
        self._horizon_us = options.lease_us + 2 * options.skew_us + 20 * SECOND_US
        self._tokens = Kept(_Wrapped)
        self._handoffs = Kept(_Handoff)

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at wrapping and unwrapping."""
        if act.area is not Area.WRAPPING or operation.is_denied:
            return
        if act.verb == "wrap" and act.who is Who.KEY_SERVICE:
            self._wrapped(operation)
        elif act.verb in _TOUCHES:
            if not operation.is_done:
                yield from self._refused(operation)
            elif act.who is not Who.GATEWAY:
                yield from self._touched(operation)
            elif act.verb == "unwrap":
                yield from self._taken(operation)

    def tick(self, now_us: int) -> Iterator[Finding]:
        """Judge what was taken and not seen to be wrapped, and forget what is long past."""
        self._tokens.pop_before(now_us - self._horizon_us)
        for lease, handoff in self._handoffs.pop_before(now_us - self._horizon_us):
            yield from self._judge(lease, handoff)

    def finish(self) -> Iterator[Finding]:
        """Judge what is left."""
        for lease, handoff in self._handoffs.pop_all():
            yield from self._judge(lease, handoff)

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return [self._tokens.state(), self._handoffs.state()]

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        tokens, handoffs = state
        self._tokens.restore(tokens)
        self._handoffs.restore(handoffs)

    def _wrapped(self, operation: Operation) -> None:
        entry = operation.entry
        if operation.is_done and entry.lease:
            self._handoff(operation).is_wrapped = True
            if operation.is_answered and entry.token_hash:
                self._tokens.put(entry.token_hash, _Wrapped(entry.time_us, entry.lease))

    def _refused(self, operation: Operation) -> Iterator[Finding]:
        """Tell of a token of ours that is good no longer. Vault does not log who brought it."""
        wrapped = self._tokens.get(operation.entry.token_hash)
        if wrapped is not None:
            yield _found("HANDOFF_REFUSED", operation, lease=wrapped.lease)

    def _touched(self, operation: Operation) -> Iterator[Finding]:
        """Tell of a token of ours in other hands. Other wrapping is none of our business."""
        wrapped = self._tokens.get(operation.entry.token_hash)
        if wrapped is not None:
            yield _found("HANDOFF_TOUCHED_BY_OTHER", operation, lease=wrapped.lease)

    def _taken(self, operation: Operation) -> Iterator[Finding]:
        entry = operation.entry
        handoff, wrapped = self._handoff(operation), self._tokens.get(entry.token_hash)
        if handoff.taken_line:
            yield _found("HANDOFF_TAKEN_TWICE", operation)
            return
        handoff.taken_us, handoff.taken_log = operation.start_us, entry.place.log
        handoff.taken_line = entry.place.line
        if wrapped is None:
            return
        if wrapped.lease != entry.lease:
            facts = {"read": wrapped.lease, "opened": entry.lease}
            yield _found("HANDOFF_LEASE_DIFFERS", operation, **facts)
            handoff.is_wrapped = True  # it was, if not for this lease
        late = operation.start_us - wrapped.time_us
        if late > self._lease_us + self._skew_us:
            yield _found("HANDOFF_LATE", operation, late=duration(late))

    def _judge(self, lease: str, handoff: _Handoff) -> Iterator[Finding]:
        made_us = lease_time_us(lease) or handoff.taken_us
        if handoff.taken_line and not handoff.is_wrapped and not self._span.may_precede(made_us):
            place = Place(handoff.taken_log, handoff.taken_line)
            yield Finding("HANDOFF_NOT_WRAPPED", handoff.taken_us, (place,), {"lease": lease})

    def _handoff(self, operation: Operation) -> _Handoff:
        lease = operation.entry.lease
        handoff = self._handoffs.get(lease)
        if handoff is None:
            handoff = _Handoff(operation.start_us)
            self._handoffs.put(lease, handoff)
        return handoff


def _found(code: str, operation: Operation, **facts: str) -> Finding:
    return Finding(code, operation.entry.time_us, operation.places, operation.facts(**facts))
