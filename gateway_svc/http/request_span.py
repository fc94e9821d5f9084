"""The span of a request over HTTPS, WebSockets included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway_svc.domain.http_request import METHODS
from gateway_svc.http.measuring import route_of
from svc_runtime.call_context import CallContext
from svc_runtime.log_fields import LogField
from svc_runtime.telemetry.spans import NO_SPAN, CallSpan, is_tracing, server_span

_PREFIX: Final = "/v1/"
_OTHER_METHOD: Final = "_OTHER"
_FIRST_SERVER_ERROR: Final = 500


def request_span(request: web.BaseRequest) -> CallSpan:
    """Return the span of *request*, which nobody has looked at yet; to be entered."""
    if not is_tracing():
        return NO_SPAN
    method = request.method if request.method in METHODS else _OTHER_METHOD
    path = request.raw_path.partition("?")[0]
    route = route_of(path.removeprefix(_PREFIX) if path.startswith(_PREFIX) else "")
    span = server_span(f"{method} {route}", request.headers.items())
    if span.is_recorded:
        span.set("http.request.method", method)
        span.set("http.route", route)
        span.set("url.scheme", "https")
    return span


def conclude(span: CallSpan, call: CallContext, outcome: Mapping[str, str]) -> None:
    """Note how *call* ended.

    Args:
        span: That of its request.
        call: What the log says of it.
        outcome: What else the log says: `code`, the status or why there is none, and `reason`.
    """
    if not span.is_recorded:
        return
    span.set("keyturn.request_id", call.request_id)
    if lease := call.fields.get(LogField.LEASE):
        span.set("keyturn.lease_id", str(lease))
    if reason := outcome.get("reason") or call.fields.get(LogField.REASON):
        span.set("keyturn.reason", str(reason))
    code = outcome.get("code", "")
    if not code.isdecimal():
        span.fail(code)
        return
    span.set("http.response.status_code", int(code))
    if int(code) >= _FIRST_SERVER_ERROR:
        span.fail(outcome.get("reason", code))
