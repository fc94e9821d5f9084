"""Measures HTTP requests: by which route, how they ended, how long they took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway_svc.http.error_status import HTTP_STATUS
from gateway_svc.metrics import HTTP_DURATION, ROUTE
from svc_runtime.telemetry.metrics import NO_VALUE, OTHER
from svc_runtime.telemetry.metrics_of_calls import REASON, REFUSALS

# Endpoints with figures of their own. What is below the families has one figure for each family.
_ENDPOINTS: Final = frozenset(
    {
        "audio/speech",
        "audio/transcriptions",
        "audio/translations",
        "chat/completions",
        "completions",
        "embeddings",
        "images/edits",
        "images/generations",
        "models",
        "moderations",
        "realtime",
        "responses",
    }
)
_FAMILIES: Final = frozenset(
    {
        "assistants",
        "audio",
        "batches",
        "chat",
        "containers",
        "conversations",
        "evals",
        "files",
        "fine_tuning",
        "images",
        "models",
        "realtime",
        "responses",
        "threads",
        "uploads",
        "vector_stores",
        "videos",
    }
)

ROUTE.allow(f"/v1/{endpoint}" for endpoint in _ENDPOINTS)
ROUTE.allow(f"/v1/{family}/*" for family in _FAMILIES)
REASON.allow(error.reason for error in HTTP_STATUS)


def route_of(endpoint: str) -> str:
    """Return the route that figures of *endpoint*, such as `files/file-1`, stand under."""
    if endpoint in _ENDPOINTS:
        return f"/v1/{endpoint}"
    family, _, _ = endpoint.partition("/")
    return f"/v1/{family}/*" if family in _FAMILIES else OTHER


def measure(
    method: str, fields: Mapping[str, object], outcome: Mapping[str, str], seconds: float
) -> None:
    """Measure one request that has ended.

    Args:
        method: HTTP method.
        fields: What the log's record says of it.
        outcome: Its `code`, the status if one was sent, and its `reason` if it was refused.
        seconds: How long it took.
    """
    code = outcome.get("code", "")
    status = code if code.isdecimal() else NO_VALUE
    HTTP_DURATION.record(seconds, method, route_of(str(fields.get("endpoint", ""))), status)
    if reason := outcome.get("reason") or fields.get("reason"):
        REFUSALS.add(1, str(reason))
