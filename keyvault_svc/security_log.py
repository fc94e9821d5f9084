"""What security should look at, as events of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import structlog

from keyvault_svc.domain.controls import Subject, Suspension
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.names import KeyName, OwnerName
from keyvault_svc.domain.reconciliation import Counted
from svc_runtime.call_context import current_call

_log = structlog.get_logger()


class StructuredSecurityLog:
    """`SecurityLog`, `ReconcilingLog` and `OperatingLog` in the service's log, at level warning."""

    def key_shared(self, name: KeyName, others: Sequence[KeyName]) -> None:
        """Log event `key_shared` for every other key that holds the same plaintext."""
        for other in others:
            _log.warning("key_shared", key=str(name), other_key=str(other))

    def used_elsewhere(self, name: KeyName, day: date, excess: Counted) -> None:
        """Log event `used_elsewhere`, with what OpenAI counted beyond Keyturn."""
        _log.warning(
            "used_elsewhere",
            key=str(name),
            detail=day.isoformat(),
            count=excess.requests,
            input_tokens=excess.input_tokens,
            output_tokens=excess.output_tokens,
        )

    def suspended(self, suspension: Suspension) -> None:
        """Log event `suspended`; the reason, which is free text, stays in the controls."""
        _log.warning(
            "suspended",
            request_id=current_call().request_id,
            caller=suspension.creator,
            **suspension.subject.fields(),
        )

    def resumed(self, subject: Subject, person: str) -> None:
        """Log event `resumed`."""
        _log.warning(
            "resumed", request_id=current_call().request_id, caller=person, **subject.fields()
        )

    def owner_limits_set(self, owner: OwnerName, limits: Limits | None, person: str) -> None:
        """Log event `owner_limits_set`, or `owner_limits_removed`."""
        fields = {
            "request_id": current_call().request_id,
            "caller": person,
            "owner": str(owner),
        }
        if limits is None:
            _log.warning("owner_limits_removed", **fields)
        else:
            _log.warning("owner_limits_set", **fields)
