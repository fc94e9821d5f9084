"""Pairs requests with answers, and finds what is missing between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any, Final

from keyturn_cli.audit.entries import Place, VaultEntry
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US

ANSWER_WAIT_US: Final = 10 * SECOND_US  # then an operation is judged without its answer
_GIVE_UP_US: Final = 120 * SECOND_US  # Vault itself ends a request after 90 seconds
_SILENCE_US: Final = 2 * SECOND_US  # by which one sees that Vault stopped
_LAST_MOMENT_US: Final = SECOND_US  # before a silence, what Vault was at when it stopped
# A node that seals itself or steps down does not log that it did.
_UNANSWERED: Final = frozenset({"sys/seal", "sys/step-down", "sys/audit/test"})


class Pairing:
    """Makes operations of entries.

    An operation whose answer is missing comes late and counts as done: whoever removes the line
    that says what Vault answered shall gain nothing by it.
    """

    def __init__(self, span: LogSpan) -> None:
        self._span = span
        self._open: dict[str, VaultEntry] = {}
        self._passed_on: dict[str, VaultEntry] = {}  # without an answer, which may still come
        self._cut_off: set[str] = set()
        self._last_us = 0

    def see(self, entry: VaultEntry) -> tuple[Operation | None, Finding | None]:
        """Return the operation that *entry* makes whole, and what its line shows to be missing."""
        self._note_silence(entry.time_us)
        return self._see_answer(entry) if entry.is_answer else self._see_request(entry)

    def _see_request(self, entry: VaultEntry) -> tuple[Operation | None, Finding | None]:
        if not entry.operation_id:
            return _alone(entry), None
        before = self._open.pop(entry.operation_id, None)
        self._open[entry.operation_id] = entry
        if before is None:
            return None, None
        # Vault gives each request an id of its own: one of the two lines was altered.
        alone = _alone(before)
        return alone, _found("REQUEST_WITHOUT_ANSWER", alone)

    def _see_answer(self, entry: VaultEntry) -> tuple[Operation | None, Finding | None]:
        operation_id = entry.operation_id
        asked = self._open.pop(operation_id, None)
        if asked is not None:
            operation = Operation(entry, asked.time_us, asked.place, is_answered=True)
            if part := _different(asked, entry):
                return operation, _found("ANSWER_DIFFERS", operation, part=part)
            return operation, None
        if self._passed_on.pop(operation_id, None) is not None:
            return None, None
        operation = Operation(entry, entry.time_us, None, is_answered=True)
        if self._span.may_precede(entry.time_us):
            return operation, None
        return operation, _found("ANSWER_WITHOUT_REQUEST", operation)

    def late(self, now_us: int) -> Iterator[Operation]:
        """Return operations that were answered in none of the lines up to *now_us*."""
        for operation_id, entry in _before(self._open, now_us - ANSWER_WAIT_US):
            del self._open[operation_id]
            self._passed_on[operation_id] = entry
            yield _alone(entry)

    def missing(self, now_us: int) -> Iterator[Finding]:
        """Return findings of answers that will not come any more."""
        for operation_id, entry in _before(self._passed_on, now_us - _GIVE_UP_US):
            yield from self._unanswered(operation_id, entry)

    def finish(self) -> Iterator[Operation]:
        """Return what is left, as if it had been done."""
        for operation_id, entry in self._open.items():
            self._passed_on[operation_id] = entry
            yield _alone(entry)
        self._open.clear()

    def missing_at_end(self) -> Iterator[Finding]:
        """Return findings of answers that the logs lack, but for those that end with the logs."""
        for operation_id, entry in list(self._passed_on.items()):
            if entry.time_us < self._last_us - _LAST_MOMENT_US:
                yield from self._unanswered(operation_id, entry)

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that is kept, as JSON types."""
        return {
            "open": [_state(entry) for entry in self._open.values()],
            "passed_on": [_state(entry) for entry in self._passed_on.values()],
            "cut_off": sorted(self._cut_off),
            "last_us": self._last_us,
        }

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        opened, passed_on = map(_entry, state["open"]), map(_entry, state["passed_on"])
        self._open = {entry.operation_id: entry for entry in opened}
        self._passed_on = {entry.operation_id: entry for entry in passed_on}
        self._cut_off = set(state["cut_off"])
        self._last_us = state["last_us"]

    def _note_silence(self, time_us: int) -> None:
        last_us, self._last_us = self._last_us, max(self._last_us, time_us)
        if last_us and time_us - last_us >= _SILENCE_US:
            self._cut_off.update(
                operation_id
                for operation_id, entry in self._open.items()
                if entry.time_us >= last_us - _LAST_MOMENT_US
            )

    def _unanswered(self, operation_id: str, entry: VaultEntry) -> Iterator[Finding]:
        del self._passed_on[operation_id]
        is_cut_off = operation_id in self._cut_off
        self._cut_off.discard(operation_id)
        if entry.path not in _UNANSWERED and not entry.error:  # an error is answer enough
            code = "REQUEST_CUT_OFF" if is_cut_off else "REQUEST_WITHOUT_ANSWER"
            yield _found(code, _alone(entry))


def _before(entries: dict[str, VaultEntry], time_us: int) -> list[tuple[str, VaultEntry]]:
    past = []
    for item in entries.items():
        if item[1].time_us >= time_us:
            break
        past.append(item)
    return past


def _alone(entry: VaultEntry) -> Operation:
    return Operation(entry, entry.time_us, entry.place, is_answered=False)


def _different(asked: VaultEntry, answer: VaultEntry) -> str:
    """Return what *answer* says otherwise of the request than *asked*; empty for nothing.

    What devices hash each by a salt of their own is not compared, nor the token of a login, which
    its answer has first.
    """
    for part, is_same in (
        ("operation", asked.operation == answer.operation),
        ("path", asked.path == answer.path),
        ("address", asked.remote_address == answer.remote_address),
        ("request id", asked.request_id == answer.request_id),
        ("lease", asked.lease == answer.lease),
        ("app", asked.app == answer.app),
        ("key", asked.key == answer.key),
        ("policies", asked.policies in {(), answer.policies}),
        ("role", asked.role in {"", answer.role}),
    ):
        if not is_same:
            return part
    return ""


def _found(code: str, operation: Operation, **facts: str) -> Finding:
    return Finding(code, operation.entry.time_us, operation.places, operation.facts(**facts))


def _state(entry: VaultEntry) -> list[Any]:
    return list(astuple(entry))


def _entry(state: list[Any]) -> VaultEntry:
    place, *rest = state
    fields: list[Any] = [tuple(field) if isinstance(field, list) else field for field in rest]
    return VaultEntry(Place(*place), *fields)
