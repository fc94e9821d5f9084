"""Tokens of the services come from their logins alone, and root tokens are for emergencies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from keyturn_cli.audit.deployment import ROOT_POLICY, SERVICES, Act, Area, Deployment, Who
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.kept import Kept
from keyturn_cli.audit.operation_rule import OperationRule
from keyturn_cli.audit.operations import Operation, texts
from keyturn_cli.audit.options import SECOND_US

_AGAIN_US: Final = 3600 * SECOND_US  # the same of the same token is told once in that time
_RENEWALS: Final = frozenset({"auth/token/renew-self", "auth/token/renew"})


@dataclass(slots=True)
class _Told:
    time_us: int


class Logins(OperationRule):
    """Judges where tokens come from, and from where they are used."""

    def __init__(self, deployment: Deployment) -> None:
        options = deployment.options
        self._options = options
        self._services = deployment.service_policies
        mounts = "|".join(re.escape(mount.strip("/")) for mount in options.login_mounts)
        self._login = re.compile(rf"auth/({mounts})/login(/.*)?")
        self._told = Kept(_Told)

    def see(self, operation: Operation, act: Act) -> Iterator[Finding]:
        """Look at the token that did it, and at the one that it gave out."""
        entry = operation.entry
        if operation.is_done and entry.issued_policies:
            yield from self._issued(operation, act)
        is_ours = act.who in SERVICES or self._login.fullmatch(act.path)
        if entry.is_wrapped and is_ours and act.area is not Area.WRAPPING:
            yield _found("ANSWER_WRAPPED", operation)
        if act.who in SERVICES:
            yield from self._service(operation)
        elif act.who is Who.ROOT and not self._options.is_expected(entry.time_us):
            yield from self._once("ROOT_TOKEN_USED", operation)

    def tick(self, now_us: int) -> Iterator[Finding]:
        """Forget what was told long ago."""
        self._told.pop_before(now_us - _AGAIN_US)
        yield from ()

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return self._told.state()

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        self._told.restore(state)

    def _issued(self, operation: Operation, act: Act) -> Iterator[Finding]:
        entry = operation.entry
        issued = set(entry.issued_policies)
        if ROOT_POLICY in issued and not self._options.is_expected(entry.time_us):
            yield _found("ROOT_TOKEN_MADE", operation)
        ours = issued & self._services
        if not ours or (act.path in _RENEWALS and issued <= set(entry.policies)):
            return
        if not self._login.fullmatch(act.path) or entry.issued_role not in ours:
            yield _found("SERVICE_TOKEN_MADE", operation, policies=texts(sorted(ours)))
        elif issued != {entry.issued_role}:
            yield from self._has_more(operation, entry.issued_role, issued)

    def _service(self, operation: Operation) -> Iterator[Finding]:
        entry = operation.entry
        if set(entry.policies) != {entry.role}:
            yield from self._has_more(operation, entry.role, set(entry.policies))
        networks = self._options.service_networks
        if networks and not self._is_within(entry.remote_address):
            yield from self._once("SERVICE_FROM_ELSEWHERE", operation, entry.remote_address)

    def _has_more(self, operation: Operation, role: str, policies: set[str]) -> Iterator[Finding]:
        more = texts(sorted(policies - {role}))
        yield from self._once("SERVICE_HAS_MORE", operation, more, policies=more)

    def _is_within(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._options.service_networks)

    def _once(
        self, code: str, operation: Operation, about: str = "", **facts: str
    ) -> Iterator[Finding]:
        entry = operation.entry
        key = f"{code} {entry.accessor} {about}"
        if self._told.get(key) is None:
            self._told.put(key, _Told(entry.time_us))
            yield _found(code, operation, **facts)


def _found(code: str, operation: Operation, **facts: str) -> Finding:
    return Finding(code, operation.entry.time_us, operation.places, operation.facts(**facts))
