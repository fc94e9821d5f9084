"""The metrics of a service's way to Vault."""

from __future__ import annotations

from typing import Final

from svc_runtime.telemetry.metrics import Gauge, Histogram, Label
from svc_runtime.vault.operation import OPERATIONS

OPERATION: Final = Label("operation", OPERATIONS)
OUTCOME: Final = Label(
    "outcome",
    ("ok", "denied", "conflict", "not_found", "invalid", "unavailable", "cancelled"),
)

VAULT_DURATION: Final = Histogram(
    "keyturn.vault.request.duration",
    "How long requests to Vault took, repetitions included.",
    OPERATION,
    OUTCOME,
)
VAULT_TOKEN_TTL: Final = Gauge(
    "keyturn.vault.token.ttl", "How long this service's Vault token is still valid.", unit="s"
)
VAULT_READY: Final = Gauge(
    "keyturn.vault.ready", "1 while this service holds a valid Vault token, else 0."
)
