"""Spans of exchanges with Vault: what was asked of which node, in a word. No path, no name."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from svc_runtime.telemetry.spans import NO_SPAN, CallSpan, client_span

_FIRST_FAILURE: Final = 400  # as OpenTelemetry has it for clients of HTTP
_NOT_FOUND: Final = 404  # an answer: of keys and stops that there are not


def exchange_span(operation: str, method: str, address: str) -> CallSpan:
    """Return the span of one request to one node; to be entered.

    Args:
        operation: What is asked; see `operation_of`.
        method: HTTP method.
        address: The node's, `https://host:port`.
    """
    span = client_span(operation)
    if span is NO_SPAN:
        return span
    node = urlsplit(address)
    span.set("keyturn.vault.operation", operation)
    span.set("http.request.method", method.upper())
    span.set("server.address", node.hostname or "")
    span.set("server.port", node.port or 443)
    return span


def answered(span: CallSpan, status: int) -> None:
    """Note that Vault answered with the HTTP *status*."""
    if span is not NO_SPAN:
        span.set("http.response.status_code", status)
        if status >= _FIRST_FAILURE and status != _NOT_FOUND:
            span.fail(str(status))
