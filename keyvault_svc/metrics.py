"""The metrics that only the key service has, and the values of their labels."""

from __future__ import annotations

from typing import Final

from keyvault_svc.domain.anomalies.policy import AnomalyKind
from keyvault_svc.domain.settlement import LeaseOutcome
from svc_runtime.telemetry.metrics import Counter, Gauge, Histogram, Label

STORE_OPERATION: Final = Label(
    "operation", ("reserve", "settle", "find", "standings", "usage", "forget", "ping")
)
STORE_OUTCOME: Final = Label("outcome", ("ok", "exceeded", "unavailable", "cancelled"))
LEASE_OUTCOME: Final = Label("outcome", (outcome.value for outcome in LeaseOutcome))
CHANNEL_KIND: Final = Label("channel", ("mail", "webhooks"))
MODEL: Final = Label("gen_ai.request.model")
ANOMALY_KIND: Final = Label("kind", (kind.value for kind in AnomalyKind))

LIMIT_STORE_DURATION: Final = Histogram(
    "keyturn.limit_store.duration",
    "How long the store of limits took.",
    STORE_OPERATION,
    STORE_OUTCOME,
)
LEASES_SETTLED: Final = Counter(
    "keyturn.leases.settled", "Leases that have ended, by how they did.", LEASE_OUTCOME
)
COST: Final = Counter(
    "keyturn.cost", "What settled requests cost, where the price is known.", MODEL, unit="USD"
)
NOTIFICATIONS_WAITING: Final = Gauge(
    "keyturn.notifications.waiting", "Notifications that are not delivered yet.", CHANNEL_KIND
)
NOTIFICATIONS_DROPPED: Final = Counter(
    "keyturn.notifications.dropped", "Notifications that were given up.", CHANNEL_KIND
)
ANOMALIES: Final = Counter(
    "keyturn.anomalies", "Findings that a grant is used unusually.", ANOMALY_KIND
)
