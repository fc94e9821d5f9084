"""Lines of audit logs, as both Vaults write them, and what the rules say of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keyturn_cli.audit.entries import Place, parse_vault_line
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.options import VerifyOptions
from keyturn_cli.audit.verifier import Verifier
from keyvault_svc.domain.lease_id import new_lease_id

START: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY: Final = "users/alice/keys/openai"
RECORD: Final = f"keyturn-kv/data/{KEY}"
CONTROLS: Final = "keyturn-kv/data/operator/controls"
DECRYPT: Final = "keyturn-transit/decrypt/openai"
APP: Final = "spiffe://example.org/app/chat"
REQUEST_ID: Final = "0" * 31 + "1"
_DISPLAY_NAMES: Final = {
    "role_name": "keyturn-approle",
    "role": "keyturn-kubernetes-keyturn-default",
    "cert_name": "keyturn-cert-gateway",
}


@dataclass(frozen=True)
class Caller:
    """Who calls Vault: a login of AppRole by default."""

    role: str = ""
    policies: tuple[str, ...] = ()
    role_field: str = "role_name"
    address: str = "10.0.0.7"
    display_name: str = ""

    def auth(self) -> dict[str, Any]:
        """Return what a line says of the caller."""
        if not self.policies:
            return {"token_type": "default"}
        return {
            "accessor": f"hmac-sha256:{self.role}{self.policies}",
            "display_name": self.display_name
            or (_DISPLAY_NAMES[self.role_field] if self.role else "token"),
            "policies": list(self.policies),
            "token_policies": list(self.policies),
            "metadata": {self.role_field: self.role} if self.role else None,
        }


KEY_SERVICE: Final = Caller("keyvault-svc", ("keyvault-svc",))
GATEWAY: Final = Caller("gateway-svc", ("gateway-svc",))
MAINTENANCE: Final = Caller("keyvault-maintenance", ("keyvault-maintenance",))
ROOT: Final = Caller("", ("root",))
OTHER: Final = Caller("payroll", ("payroll",))


@dataclass
class Log:
    """An audit log under construction.

    Attributes:
        now: When the next operation begins.
        lines: So far, each with the name of its log.
    """

    now: datetime = START
    name: str = "audit.log"
    prefix: bytes = b""
    lines: list[tuple[str, bytes]] = field(default_factory=list)
    _count: int = 0

    def begin(self) -> None:
        """Let the log begin with its device, so that nothing came before."""
        self.operation(Caller(address=""), "update", "sys/audit/test", is_answered=False)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def lease(self) -> str:
        """Return the id of a lease of now."""
        return new_lease_id(self.now)

    def operation(
        self,
        caller: Caller,
        operation: str,
        path: str,
        *,
        error: str = "",
        answer: dict[str, Any] | None = None,
        is_answered: bool = True,
        **labels: str,
    ) -> None:
        """Add an operation of one millisecond.

        Args:
            caller: Who does it.
            operation: Vault's word for what is done.
            path: To what.
            error: Vault's error.
            answer: The answer; by default, some data.
            is_answered: Whether there is one.
            labels: Keyturn's headers: `lease`, `app`, `key`, `request_id`.
        """
        self._count += 1
        request = {
            "id": f"{self.name}-{self._count}",
            "operation": operation,
            "path": path,
            "remote_address": caller.address,
            "headers": {
                f"x-keyturn-{name.replace('_', '-')}": [value] for name, value in labels.items()
            },
        }
        entry = {"auth": caller.auth(), "request": request}
        self._add({"type": "request", **entry})
        self.wait(0.001)
        if is_answered:
            response = answer if answer is not None else {"data": {"some": "hmac-sha256:0"}}
            self._add({"type": "response", **entry, "response": response, "error": error})

    def lease_and_open(self, lease: str = "", *, reader: Caller = KEY_SERVICE) -> str:
        """Add what a call leaves; return its lease."""
        lease = lease or self.lease()
        self.read(lease, reader=reader)
        self.look(lease, reader=reader)
        self.open(lease)
        return lease

    def read(self, lease: str, *, reader: Caller = KEY_SERVICE) -> None:
        """Add the read of a record."""
        self.operation(reader, "read", RECORD, **_labels(lease))

    def look(self, lease: str, *, reader: Caller = KEY_SERVICE) -> None:
        """Add the read of the controls."""
        self.operation(reader, "read", CONTROLS, **_labels(lease))

    def open(self, lease: str, *, opener: Caller = GATEWAY) -> None:
        """Add the opening of a key."""
        self.operation(opener, "update", DECRYPT, **_labels(lease))

    def _add(self, entry: dict[str, Any]) -> None:
        time = self.now.isoformat(timespec="microseconds").replace("+00:00", "123Z")
        line = json.dumps({"time": time, **entry}).encode()
        self.lines.append((self.name, self.prefix + line))


def judge(
    lines: Iterable[tuple[str, bytes]],
    **options: Any,  # noqa: ANN401 - fields of VerifyOptions
) -> list[Finding]:
    """Return the findings of *lines*, which come in the order of time."""
    verifier = Verifier(replace(VerifyOptions(), **options))
    findings: list[Finding] = []
    for number, (name, line) in enumerate(lines, 1):
        entry = parse_vault_line(line, Place(name, number))
        assert entry is not None
        findings += verifier.see_vault(entry)
    return findings + verifier.finish()


def codes(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of *findings*."""
    return [finding.code for finding in findings]


def _labels(lease: str) -> dict[str, Any]:
    return {"lease": lease, "app": APP, "key": KEY, "request_id": REQUEST_ID}
