from __future__ import annotations

import pytest
from opentelemetry import baggage, trace

from svc_runtime.telemetry.trace_context import context_of, headers_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
Headers = list[tuple[str, str | bytes]]


def test_the_callers_context_is_taken_and_passed_on_as_it_came() -> None:
    context = context_of([("Traceparent", PARENT), ("TraceState", "vendor=a,other=b")])

    assert headers_of(context) == (("traceparent", PARENT), ("tracestate", "vendor=a,other=b"))


def test_a_call_without_a_context_passes_none_on() -> None:
    assert headers_of(context_of([("x-other", "value")])) == ()


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "")],
        [("traceparent", "nonsense")],
        [("traceparent", b"\xff\x00")],
        [("traceparent", PARENT.upper())],
        [("traceparent", f"ff-{TRACE}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE}-{SPAN}-01-more")],
        [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", PARENT), ("traceparent", PARENT)],
        [("traceparent", f"01-{TRACE}-{SPAN}-01-{'x' * 1000}")],
        [("tracestate", "vendor=a")],
    ],
)
def test_a_malformed_context_is_ignored(headers: Headers) -> None:
    assert headers_of(context_of(headers)) == ()


@pytest.mark.parametrize(
    "states",
    [
        ["=" * 100],
        ["k=" + "v" * 600],
        ["a=" + "v" * 300, "b=" + "v" * 300],
        ["key=\x00"],
        ["key=ü"],
        [",".join(f"k{number}=v" for number in range(100))],
    ],
)
def test_a_state_that_is_malformed_or_too_long_is_left_out(states: list[str]) -> None:
    context = context_of([("traceparent", PARENT), *(("tracestate", state) for state in states)])

    assert headers_of(context) == (("traceparent", PARENT),)


def test_baggage_is_not_looked_at() -> None:
    context = context_of([("traceparent", PARENT), ("baggage", "owner=alice")])

    assert baggage.get_all(context) == {}
    assert trace.get_current_span(context).get_span_context().is_remote
