"""What security should look at, as events of the log."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from keyvault_svc.domain.names import KeyName

_log = structlog.get_logger()


class StructuredSecurityLog:
    """`SecurityLog` in the service's log, at level warning."""

    def key_shared(self, name: KeyName, others: Sequence[KeyName]) -> None:
        """Log event `key_shared` for every other key that holds the same plaintext."""
        for other in others:
            _log.warning("key_shared", key=str(name), other_key=str(other))
