"""The one failure of the audit stream that callers see."""

from __future__ import annotations

from svc_runtime.service_error import ServiceError


class AuditUnavailableError(ServiceError):
    """What was to happen cannot be written down, so it did not happen."""

    reason = "AUDIT_UNAVAILABLE"
    public_message = (
        "The service cannot write its audit stream now, and does nothing that it cannot record. "
        "Nothing was refused; try again shortly."
    )
    retry_after_seconds = 1.0
