"""What one log says of a lease, to be compared with what another says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from keyturn_cli.audit.entries import Place, ServiceRecord
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operations import Operation


@dataclass(slots=True)
class Said:
    """What a line says. An app or a key that it does not name is empty."""

    time_us: int
    log: str
    line: int
    request_id: str
    app: str
    key: str

    @classmethod
    def of_operation(cls, operation: Operation) -> Self:
        """Return what Vault's log says."""
        entry = operation.entry
        place = entry.place
        return cls(
            operation.start_us, place.log, place.line, entry.request_id, entry.app, entry.key
        )

    @classmethod
    def of_record(cls, record: ServiceRecord) -> Self:
        """Return what a service's log says."""
        place, text = record.place, record.text
        return cls(
            record.time_us, place.log, place.line, text("request_id"), text("app"), text("key")
        )

    def matches(self, other: Said) -> bool:
        """Return whether both are of one request, and name no different app or key."""
        if not self.request_id or self.request_id != other.request_id:
            return False
        is_other_app = bool(self.app and other.app) and self.app != other.app
        is_other_key = bool(self.key and other.key) and self.key != other.key
        return not is_other_app and not is_other_key


def differences(service: str, lease: str, seen: Said, told: Said) -> Iterator[Finding]:
    """Return what the record *told* of *service* says otherwise than Vault's log."""
    for mine, theirs in (
        (seen.request_id, told.request_id),
        (seen.app, told.app),
        (seen.key, told.key),
    ):
        if mine and theirs and mine != theirs:
            facts = {"service": service, "lease": lease, "said": theirs, "seen": mine}
            places = (Place(seen.log, seen.line), Place(told.log, told.line))
            yield Finding("RECORD_DIFFERS", told.time_us, places, facts)
