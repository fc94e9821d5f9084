"""What every rule of `keyturn audit verify` is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.findings import Finding


class Rule(Protocol):
    """Looks at entries in the order of time, and keeps only what it needs of the last minutes."""

    def see_vault(self, entry: VaultEntry) -> Iterable[Finding]:
        """Look at an entry of Vault's audit log."""

    def see_service(self, record: ServiceRecord) -> Iterable[Finding]:
        """Look at a record of a service's log."""

    def finish(self) -> Iterable[Finding]:
        """Tell what can only be told at the end of the logs."""

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
