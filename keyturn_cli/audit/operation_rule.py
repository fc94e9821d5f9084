"""What every rule over operations at Vault is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn_cli.audit.deployment import Act
from keyturn_cli.audit.entries import ServiceRecord
from keyturn_cli.audit.findings import Finding
from keyturn_cli.audit.operations import Operation


class OperationRule:
    """Looks at operations and records in nearly the order of time; keeps no more than minutes.

    An operation comes when it is answered, or ten seconds late when no answer is there.
    """

    def see(self, operation: Operation, act: Act) -> Iterable[Finding]:
        """Look at an operation."""
        del operation, act
        return ()

    def see_service(self, record: ServiceRecord) -> Iterable[Finding]:
        """Look at a record of a service's log."""
        del record
        return ()

    def tick(self, now_us: int) -> Iterable[Finding]:
        """Tell what can be told now that the logs have come to *now_us*, and forget it."""
        del now_us
        return ()

    def finish(self) -> Iterable[Finding]:
        """Tell what can only be told at the end of the logs."""
        return ()

    def state(self) -> Any:  # noqa: ANN401  # JSON
        """Return all that it keeps, as JSON types."""
        return None

    def restore(self, state: Any) -> None:  # noqa: ANN401  # JSON
        """Go on from *state*."""
        del state
