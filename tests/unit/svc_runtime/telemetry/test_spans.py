from __future__ import annotations

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id
from structlog.contextvars import get_contextvars

from svc_runtime.service_error import CallerNotAllowedError
from svc_runtime.telemetry.spans import (
    NO_SPAN,
    cause,
    client_span,
    server_span,
    trace_id,
    untraced,
    work_span,
)
from svc_runtime.telemetry.trace_context import headers_of
from tests.span_tape import taping

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{TRACE}-{SPAN}-00"),)


def test_without_a_tracer_every_span_is_the_same_object_that_does_nothing() -> None:
    with server_span("serve", SAMPLED) as outer, client_span("ask") as inner:
        outer.set("name", "value")
        outer.fail("word")

    assert outer is inner is work_span("work") is work_span("work", []) is untraced() is NO_SPAN
    assert not outer.is_recorded
    assert cause() is None


def test_a_served_call_is_a_child_of_its_callers_span() -> None:
    with taping() as tape, server_span("serve", SAMPLED):
        pass

    span = tape.only()
    assert (span.kind, span.name) == (SpanKind.SERVER, "serve")
    assert span.parent is not None
    assert format_trace_id(span.parent.trace_id) == TRACE
    assert format_span_id(span.parent.span_id) == SPAN


def test_a_call_to_another_process_is_a_child_of_the_served_one() -> None:
    with taping() as tape, server_span("serve", ()), client_span("ask") as asking:
        passed = headers_of(asking.context)

    ask, serve = tape.spans
    assert ask.parent is not None
    assert serve.context is not None
    assert ask.parent.span_id == serve.context.span_id
    assert ask.context is not None
    assert format_span_id(ask.context.span_id) in dict(passed)["traceparent"]


def test_the_callers_decision_not_to_sample_holds_and_is_passed_on() -> None:
    with taping() as tape, server_span("serve", NOT_SAMPLED), client_span("ask") as asking:
        passed = dict(headers_of(asking.context))

    assert tape.spans == []
    assert asking is NO_SPAN
    assert passed["traceparent"].startswith(f"00-{TRACE}-")
    assert passed["traceparent"].endswith("-00")


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_ratio_decides_where_the_caller_does_not(ratio: float) -> None:
    with taping(ratio=ratio) as tape, server_span("serve", ()):
        pass

    assert len(tape.spans) == ratio


def test_a_call_that_no_served_call_caused_has_no_span() -> None:
    with taping() as tape, client_span("ask"):
        pass

    assert tape.spans == []


def test_a_failure_is_told_by_a_word_and_never_by_its_text() -> None:
    text = "sk-canary-0123456789abcdef"
    with taping() as tape:
        with pytest.raises(ValueError, match="canary"), server_span("serve", ()):
            raise ValueError(text)
        with pytest.raises(CallerNotAllowedError), server_span("serve", ()):
            raise CallerNotAllowedError
        with pytest.raises(asyncio.CancelledError), server_span("serve", ()):
            raise asyncio.CancelledError

    words = [(span.attributes or {})["error.type"] for span in tape.spans]
    assert words == ["ValueError", CallerNotAllowedError.reason, "cancelled"]
    assert all(not span.status.is_ok for span in tape.spans)
    assert all(span.events == () and span.status.description is None for span in tape.spans)
    assert text not in "".join(span.to_json() for span in tape.spans)


def test_the_first_word_for_a_failure_stays() -> None:
    with taping() as tape, server_span("serve", ()) as span:
        span.fail("UPSTREAM_UNAVAILABLE")
        span.fail("ValueError")

    assert (tape.only().attributes or {})["error.type"] == "UPSTREAM_UNAVAILABLE"


def test_log_lines_of_a_sampled_call_bear_its_trace_and_those_after_it_none() -> None:
    with taping():
        with server_span("serve", SAMPLED):
            inside = get_contextvars().get("trace_id")
        with server_span("serve", NOT_SAMPLED):
            unsampled = get_contextvars().get("trace_id")

    assert (inside, unsampled) == (TRACE, None)
    assert "trace_id" not in get_contextvars()


def test_work_joins_the_first_call_that_it_is_for_and_is_linked_with_the_others() -> None:
    causes = []
    with taping() as tape:
        for _ in range(3):
            with server_span("serve", ()):
                causes.append(cause())
        with work_span("work", [c for c in causes if c is not None]), client_span("ask"):
            pass

    *served, ask, work = tape.spans
    contexts = [span.context for span in served]
    assert work.parent == contexts[0]
    assert [link.context for link in work.links] == contexts[1:]
    assert ask.parent == work.context


def test_work_that_no_sampled_call_waits_for_is_traced_nowhere() -> None:
    with taping() as tape, work_span("work", []), client_span("ask"):
        passed = dict(headers_of())

    assert tape.spans == []
    assert passed["traceparent"].endswith("-00")


def test_work_of_its_own_has_a_trace_of_its_own() -> None:
    with taping() as tape, server_span("serve", SAMPLED), work_span("work"):
        inside = trace_id()

    work, _ = tape.spans
    assert work.parent is None
    assert inside != TRACE


def test_a_poll_is_traced_neither_here_nor_there() -> None:
    with taping() as tape, untraced(), client_span("ask"):
        passed = dict(headers_of())

    assert tape.spans == []
    assert passed["traceparent"].endswith("-00")
    assert not trace.get_current_span().get_span_context().is_valid
