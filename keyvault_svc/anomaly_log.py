"""What is unusual, as events of the log."""

from __future__ import annotations

import structlog

from keyvault_svc.domain.anomalies.rules import Finding
from keyvault_svc.domain.names import GrantName, KeyName
from keyvault_svc.metrics import ANOMALIES
from svc_runtime.service_error import ServiceError

_log = structlog.get_logger()


class StructuredAnomalyLog:
    """`AnomalyLog` in the service's log and its metrics."""

    def found(self, grant: GrantName, app: str, finding: Finding) -> None:
        """Log event `anomaly`."""
        _log.warning(
            "anomaly",
            key=str(grant.key),
            grant=str(grant),
            app=app,
            cause=finding.kind.value,
            what=finding.what,
        )
        ANOMALIES.add(1, finding.kind.value)

    def not_suspended(self, key: KeyName, error: ServiceError) -> None:
        """Log event `anomaly_not_suspended`."""
        _log.error("anomaly_not_suspended", key=str(key), reason=error.reason)

    def dropped(self, count: int) -> None:
        """Log event `observations_dropped`."""
        _log.warning("observations_dropped", count=count)
