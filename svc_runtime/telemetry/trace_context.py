"""The W3C Trace Context that callers send, and that is passed on.

It decides nothing but how spans hang together, so what is malformed is ignored, never refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_MAX_CHARACTERS: Final = 512  # of each
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def context_of(headers: Iterable[tuple[str, str | bytes]]) -> Context:
    """Return the context that a caller's *headers* name; an empty one if they name none.

    Args:
        headers: HTTP headers or gRPC metadata, names in any case. Others than the two of W3C Trace
            Context, `baggage` among them, are not looked at.
    """
    parents, states = [], []
    for name, value in headers:
        lower = name.lower()
        if lower == TRACEPARENT:
            parents.append(value)
        elif lower == TRACESTATE:
            states.append(value)
    parent = parents[0] if len(parents) == 1 else None
    if not isinstance(parent, str) or len(parent) > _MAX_CHARACTERS:
        return Context()
    carrier = {TRACEPARENT: parent}
    state = ",".join(value for value in states if isinstance(value, str))
    if len(state) <= _MAX_CHARACTERS and state.isascii() and state.isprintable():
        carrier[TRACESTATE] = state
    return _PROPAGATOR.extract(carrier, Context())


def headers_of(context: Context | None = None) -> tuple[tuple[str, str], ...]:
    """Return the headers that pass *context*, the current one by default, on; maybe none."""
    carrier: dict[str, str] = {}
    if trace.get_current_span(context).get_span_context().is_valid:
        _PROPAGATOR.inject(carrier, context)
    return tuple(carrier.items())
