"""The metrics of a service process itself."""

from __future__ import annotations

from typing import Final

from svc_runtime.telemetry.metrics import Counter, Gauge, Histogram, Label

SECURITY_EVENT: Final = Label("event")

CERTIFICATE_EXPIRY: Final = Gauge(
    "keyturn.certificate.expiry",
    "How long the certificate that this service uses is still valid.",
    unit="s",
)
AUDIT_UNSIGNED: Final = Gauge(
    "keyturn.audit_stream.unsigned", "Lines of the audit stream that no checkpoint has signed."
)
AUDIT_FAILURES: Final = Counter(
    "keyturn.audit_stream.failures", "Times that the audit stream could not be written or signed."
)
SECURITY_EVENTS: Final = Counter(
    "keyturn.security.events", "Events of the log that security should look at.", SECURITY_EVENT
)
EVENT_LOOP_LAG: Final = Histogram(
    "keyturn.event_loop.lag", "How late this service's event loop did what was due."
)
