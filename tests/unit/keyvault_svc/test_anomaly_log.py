from __future__ import annotations

from structlog.testing import capture_logs

from keyvault_svc.anomaly_log import StructuredAnomalyLog
from keyvault_svc.domain.anomalies.policy import AnomalyKind
from keyvault_svc.domain.anomalies.rules import Finding
from keyvault_svc.domain.errors import TooManySuspensionsError
from keyvault_svc.domain.names import GrantName
from tests.unit.keyvault_svc.samples import KEY

GRANT = GrantName(KEY, "0123456789abcdef")
APP = "spiffe://example.org/app/billing"


def test_a_finding_is_logged_with_whose_it_is_and_in_words() -> None:
    with capture_logs() as lines:
        StructuredAnomalyLog().found(GRANT, APP, Finding(AnomalyKind.NEW_MODEL, "first use of o3"))

    assert lines == [
        {
            "event": "anomaly",
            "log_level": "warning",
            "key": str(KEY),
            "grant": str(GRANT),
            "app": APP,
            "cause": "new_model",
            "what": "first use of o3",
        }
    ]


def test_a_key_that_could_not_be_suspended_is_logged_with_the_reason() -> None:
    with capture_logs() as lines:
        StructuredAnomalyLog().not_suspended(KEY, TooManySuspensionsError())

    assert lines == [
        {
            "event": "anomaly_not_suspended",
            "log_level": "error",
            "key": str(KEY),
            "reason": TooManySuspensionsError.reason,
        }
    ]


def test_dropped_observations_are_logged_by_their_number() -> None:
    with capture_logs() as lines:
        StructuredAnomalyLog().dropped(7)

    assert lines == [{"event": "observations_dropped", "log_level": "warning", "count": 7}]
