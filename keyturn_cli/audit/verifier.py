"""All rules together, over entries in the order of time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from keyturn_cli.audit.deployment import Deployment
from keyturn_cli.audit.entries import Place, ServiceRecord, VaultEntry
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.log_span import LogSpan
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation
from keyturn_cli.audit.options import SECOND_US, VerifyOptions
from keyturn_cli.audit.pairing import Pairing
from keyturn_cli.audit.rule import Rule
from keyturn_cli.audit.rules.calls import Calls
from keyturn_cli.audit.rules.chains import Chains
from keyturn_cli.audit.rules.changes import Changes
from keyturn_cli.audit.rules.continuity import Continuity
from keyturn_cli.audit.rules.handoffs import Handoffs
from keyturn_cli.audit.rules.key_service_calls import KeyServiceCalls
from keyturn_cli.audit.rules.leases import Leases
from keyturn_cli.audit.rules.logins import Logins
from keyturn_cli.audit.rules.rights import Rights
from keyturn_cli.audit.rules.touches import Touches

_VERSION: Final = 1  # of what `state` returns


class Verifier:
    """Judges the entries of all logs, which come in the order of time, in bounded memory.

    What a rule says of an operation is told at once where it is certain, and else when the time is
    up in which a line could show that all is well.
    """

    def __init__(self, options: VerifyOptions) -> None:
        self._options = options
        self._deployment = deployment = Deployment(options)
        self._span = span = LogSpan(options.skew_us)
        self._pairing = Pairing(span)
        self._continuity = Continuity(options)
        self._rules: dict[str, OperationRule] = {
            "leases": Leases(deployment, span),
            "handoffs": Handoffs(deployment, span),
            "touches": Touches(deployment),
            "changes": Changes(deployment),
            "logins": Logins(deployment),
            "rights": Rights(deployment),
            "calls": Calls(deployment, span),
            "key_service_calls": KeyServiceCalls(deployment),
        }
        self._entry_rules: dict[str, Rule] = {"chains": Chains(options)}
        self._next_tick_us = 0

    def see_vault(self, entry: VaultEntry) -> list[Finding]:
        """Return what *entry* of Vault's audit log shows."""
        self._span.see(entry.time_us, entry.path)
        findings: list[Finding] = []
        _take(findings, self._continuity.see(entry))
        operation, missing = self._pairing.see(entry)
        _take(findings, missing)
        if operation is not None:
            self._judge(operation, findings)
        for rule in self._entry_rules.values():
            findings += rule.see_vault(entry)
        self._tick(entry.time_us, findings)
        return findings

    def see_service(self, record: ServiceRecord) -> list[Finding]:
        """Return what *record* of a service's log shows."""
        findings: list[Finding] = []
        for rule in self._all_rules().values():
            findings += rule.see_service(record)
        self._tick(record.time_us, findings)
        return findings

    def see_bad_line(
        self, place: Place, *, is_vault: bool, is_ahead: bool = False
    ) -> list[Finding]:
        """Return the finding that a line could not be read, or is dated ahead of now."""
        if is_ahead:
            return [self._continuity.line_ahead(place)]
        return [self._continuity.bad_line(place, is_vault=is_vault)]

    def finish(self) -> list[Finding]:
        """Return what can only be told at the end of the logs."""
        findings: list[Finding] = []
        for operation in self._pairing.finish():
            self._judge(operation, findings)
        findings += self._pairing.missing_at_end()
        for rule in self._all_rules().values():
            findings += rule.finish()
        return findings

    def state(self) -> dict[str, Any]:
        """Return all that is kept, as JSON types."""
        return {
            "version": _VERSION,
            "options": self._options_state(),
            "span": self._span.state(),
            "pairing": self._pairing.state(),
            "continuity": self._continuity.state(),
            "rules": {name: rule.state() for name, rule in self._all_rules().items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from *state*.

        Raises:
            ValueError: It is of another version of the rules or of other options.
        """
        rules = self._all_rules()
        if state.get("version") != _VERSION or state.get("rules", {}).keys() != rules.keys():
            raise ValueError("the state is of another version")
        if state["options"] != self._options_state():
            raise ValueError("the state is of other options")
        self._span.restore(state["span"])
        self._pairing.restore(state["pairing"])
        self._continuity.restore(state["continuity"])
        for name, rule in rules.items():
            rule.restore(state["rules"][name])

    def _all_rules(self) -> dict[str, OperationRule | Rule]:
        return {**self._rules, **self._entry_rules}

    def _judge(self, operation: Operation, findings: list[Finding]) -> None:
        act = self._deployment.act(operation.entry)
        for rule in self._rules.values():
            findings += rule.see(operation, act)

    def _tick(self, now_us: int, findings: list[Finding]) -> None:
        """Once in a second of the logs, let time pass for all rules."""
        if now_us < self._next_tick_us:
            return
        self._next_tick_us = now_us + SECOND_US
        for operation in self._pairing.late(now_us):
            self._judge(operation, findings)
        findings += self._pairing.missing(now_us)
        for rule in self._rules.values():
            findings += rule.tick(now_us)

    def _options_state(self) -> dict[str, str]:
        """Return what names the deployment; its windows and tolerances may change meanwhile."""
        return {name: str(value) for name, value in asdict(self._options).items() if name in _NAMES}


_NAMES: Final = frozenset(
    {
        *("key_service_role", "gateway_role", "maintenance_role", "kv_mount", "transit_mount"),
        *("pki_mount", "transit_key", "namespace", "login_mounts"),
    }
)


def _take(findings: list[Finding], finding: Finding | None) -> None:
    if finding is not None:
        findings.append(finding)
