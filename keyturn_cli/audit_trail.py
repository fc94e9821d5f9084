"""The chain of one request id, from the logs of Vault and the services, and what it proves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from keyturn_cli.audit_steps import (
    AuditStep,
    Outcome,
    Source,
    StepKind,
    service_steps,
    vault_step,
)

KEY_SERVICE_ROLE: Final = "keyvault-svc"
GATEWAY_ROLE: Final = "gateway-svc"
MAINTENANCE_ROLE: Final = "keyvault-maintenance"  # of jobs: they read, and open nothing


class VerdictKind(StrEnum):
    """What the chain of a request proves."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    OWNER_ACTION = "owner action"
    SUSPECT = "suspect"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict and its reasons, in sentences."""

    kind: VerdictKind
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """All that the logs tell of one request, in the order of time.

    Attributes:
        bad_vault_line_count: Lines of audit logs that are no JSON objects: evidence may be missing.
        bad_service_line_count: The same of service logs, where libraries print lines of their own.
    """

    steps: Sequence[AuditStep]
    bad_vault_line_count: int
    bad_service_line_count: int
    verdict: Verdict


class AuditTrailBuilder:
    """Collects the steps of one request id; holds nothing of any other request."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._vault_steps: dict[str, AuditStep] = {}
        self._service_steps: list[AuditStep] = []
        self._bad_vault_line_count = 0
        self._bad_service_line_count = 0

    def add_vault_log(self, entries: Iterable[Mapping[str, Any] | None]) -> None:
        """Take in an audit log; None stands for a bad line.

        An answer replaces its request, but keeps the request's time. Several audit devices that
        log the same operation count once.
        """
        for entry in entries:
            if entry is None:
                self._bad_vault_line_count += 1
            elif step := vault_step(entry, self._request_id):
                # Without Vault's id nothing may be merged away: each entry stands for itself.
                operation = step.operation_id or f"entry {len(self._vault_steps)}"
                known = self._vault_steps.get(operation)
                if known is not None:
                    answered = step if known.outcome == Outcome.NO_ANSWER else known
                    step = replace(answered, time=min(known.time, step.time))
                self._vault_steps[operation] = step

    def add_service_log(self, records: Iterable[Mapping[str, Any] | None]) -> None:
        """Take in a service's log; None stands for a bad line."""
        for record in records:
            if record is None:
                self._bad_service_line_count += 1
            else:
                self._service_steps += service_steps(record, self._request_id)

    def trail(self) -> AuditTrail:
        """Return what was found so far."""
        steps = [*self._service_steps, *self._vault_steps.values()]
        steps.sort(key=lambda step: step.time)
        return AuditTrail(
            steps, self._bad_vault_line_count, self._bad_service_line_count, judge(steps)
        )


def judge(steps: Sequence[AuditStep]) -> Verdict:
    """Return what *steps* prove. Vault's entries alone decide; service logs only illustrate.

    1. Nothing found proves nothing.
    2. Denied operations, and reads or decrypts by the wrong half, are suspect.
    3. Each lease must have one KV read by the key service and one decrypt by the gateway.
    4. Without any lease, it was an owner's action: no key left custody.
    """
    if not steps:  # (1)
        return Verdict(
            VerdictKind.NOT_FOUND, ["No trace of this request id was found in these logs."]
        )
    vault_steps = [step for step in steps if step.source is Source.VAULT]
    faults = list(_misdeeds(vault_steps))  # (2)
    leases = sorted({step.lease for step in vault_steps if step.lease})
    findings = [_judge_lease(lease, vault_steps) for lease in leases]  # (3)
    sentences = [sentence for finding in findings for sentence in finding.sentences]
    if faults or any(finding.kind is VerdictKind.SUSPECT for finding in findings):
        return Verdict(VerdictKind.SUSPECT, [*faults, *sentences])
    if not findings:
        return _without_lease(vault_steps)  # (4)
    kinds = {finding.kind for finding in findings}
    kind = VerdictKind.COMPLETE if kinds == {VerdictKind.COMPLETE} else VerdictKind.INCOMPLETE
    return Verdict(kind, sentences)


def _misdeeds(vault_steps: Sequence[AuditStep]) -> Iterable[str]:
    for step in vault_steps:
        who = step.who or "an unknown caller"
        if step.outcome == Outcome.DENIED:
            yield f"Vault denied {who} an operation: {step.what}."
        is_maintenance = step.who == MAINTENANCE_ROLE and not step.lease
        is_read = step.kind in {StepKind.KV_READ, StepKind.CONTROLS_READ}
        if is_read and step.who != KEY_SERVICE_ROLE and not is_maintenance:
            yield f"A KV read was made by {who}, not {KEY_SERVICE_ROLE}."
        if step.kind is StepKind.DECRYPT and step.who != GATEWAY_ROLE:
            yield f"A decrypt was made by {who}, not {GATEWAY_ROLE}."
        if step.kind is StepKind.DECRYPT and not step.lease:
            yield "A decrypt names no lease."


def _judge_lease(lease: str, vault_steps: Sequence[AuditStep]) -> Verdict:
    of_lease = [s for s in vault_steps if s.lease == lease and s.outcome != Outcome.DENIED]
    reads = [step for step in of_lease if step.kind is StepKind.KV_READ]
    decrypts = [step for step in of_lease if step.kind is StepKind.DECRYPT]
    if len(decrypts) > 1 or len(reads) > 1:
        found = f"{len(reads)} KV reads and {len(decrypts)} decrypts were found; there may be one"
        return Verdict(VerdictKind.SUSPECT, [f"Lease {lease}: {found} of each."])
    if decrypts and not reads:
        return Verdict(
            VerdictKind.SUSPECT,
            [f"Lease {lease}: a decrypt was found, but no KV read by {KEY_SERVICE_ROLE}."],
        )
    if not decrypts:
        found = "one KV read" if reads else "no KV read"
        return Verdict(
            VerdictKind.INCOMPLETE,
            [
                f"Lease {lease}: {found} by {KEY_SERVICE_ROLE} and no decrypt by {GATEWAY_ROLE}.",
                "The key was not opened. A refused request ends so.",
            ],
        )
    unanswered = [step for step in (*reads, *decrypts) if step.outcome != Outcome.OK]
    if unanswered:
        told = ", ".join(f"{step.kind}: {step.outcome}" for step in unanswered)
        return Verdict(VerdictKind.INCOMPLETE, [f"Lease {lease}: not all was done ({told})."])
    found = (
        f"Complete chain: exactly one KV read by {KEY_SERVICE_ROLE} and one decrypt by "
        f"{GATEWAY_ROLE}, both under lease {lease}."
    )
    return Verdict(VerdictKind.COMPLETE, [found])


def _without_lease(vault_steps: Sequence[AuditStep]) -> Verdict:
    if vault_steps:
        return Verdict(
            VerdictKind.OWNER_ACTION,
            ["An owner's action on a key's record: no lease was made and no key was opened."],
        )
    return Verdict(
        VerdictKind.INCOMPLETE,
        [
            "Only service logs know this request id: no KV read and no decrypt were found.",
            "It was refused before Vault was asked, or Vault's audit log is not among the files.",
        ],
    )
