"""Spans of whatever the process is doing: the one door to OpenTelemetry's traces.

Without a tracer, and for calls that nobody samples, a span is a shared object that does nothing.
A span holds what `set` is given and how its work ended: never the text of an exception, which may
quote a body, a header or a key. Log lines inside of a sampled call bear its trace's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Tracer
from opentelemetry.trace.status import Status, StatusCode
from structlog.contextvars import bind_contextvars, reset_contextvars

from svc_runtime.service_error import ServiceError
from svc_runtime.telemetry.trace_context import context_of

Cause: TypeAlias = SpanContext
"""What names a call's span to work that is done for it later; see `cause`."""
AttributeValue: TypeAlias = str | int | float | bool | Sequence[str]

ERROR_TYPE: Final = "error.type"
_CANCELLED: Final = "cancelled"


class CallSpan:
    """One span, to be entered once; leaving ends it.

    Attributes:
        is_recorded: Whether somebody will see it. Ask before working an attribute out.
    """

    __slots__ = ("_is_current", "_is_judged", "_log_tokens", "_span", "_token", "is_recorded")

    def __init__(self, span: Span | None, *, is_current: bool = False) -> None:
        """Stand for *span*, or for none; one that *is_current* is the parent of those inside."""
        self._span = span
        self._is_current = is_current
        self._token: Token[Context] | None = None
        self._log_tokens: Mapping[str, Token[Any]] = {}
        self._is_judged = False
        self.is_recorded = span is not None and span.is_recording()

    @property
    def context(self) -> Context | None:
        """The context of work below the span; None, for the current one, if there is no span."""
        return None if self._span is None else trace.set_span_in_context(self._span)

    def set(self, name: str, value: AttributeValue) -> None:
        """Set the attribute *name*; a later value wins."""
        if self._span is not None:
            self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Give the span another name."""
        if self._span is not None:
            self._span.update_name(name)

    def event(self, name: str) -> None:
        """Note that *name* happened now."""
        if self._span is not None:
            self._span.add_event(name)

    def fail(self, error_type: str) -> None:
        """Let the span say that its work failed; the first word stays.

        Args:
            error_type: A word of a closed set.
        """
        if self._span is not None and not self._is_judged:
            self._is_judged = True
            self._span.set_attribute(ERROR_TYPE, error_type)
            self._span.set_status(Status(StatusCode.ERROR))

    def judge(self) -> None:
        """Take what `fail` was told so far for all there is: what is raised from here on is not."""
        self._is_judged = self._span is not None

    def end(self) -> None:
        """End the span; for one that is not entered, because its work outlives the caller."""
        if self._span is not None:
            self._span.end()

    def __enter__(self) -> Self:
        if self._span is not None and self._is_current:
            self._token = otel_context.attach(trace.set_span_in_context(self._span))
            if self.is_recorded:
                self._log_tokens = bind_contextvars(trace_id=trace_id())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is None:
            return
        if self._token is not None:
            otel_context.detach(self._token)
            reset_contextvars(**self._log_tokens)
        if error is not None:
            self.fail(error_type_of(error))
        self._span.end()


NO_SPAN: Final = CallSpan(None)
"""What there is where nothing is traced. Shared, and never changed."""

# Names no trace that there is: nobody ever sees the ids of what is not sampled.
_UNSAMPLED: Final = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=False))

_tracer: Tracer | None = None


def use_tracer(tracer: Tracer | None) -> None:
    """Make spans with *tracer* from now on; None makes none."""
    global _tracer  # noqa: PLW0603  # one process, one tracer, as with its log
    _tracer = tracer


def is_tracing() -> bool:
    """Tell whether this process has a tracer."""
    return _tracer is not None


def server_span(name: str, headers: Iterable[tuple[str, str | bytes]]) -> CallSpan:
    """Return the span of serving a call, a child of its caller's.

    Args:
        name: A word of a closed set: backends group by it.
        headers: The call's headers or metadata; see `context_of`.
    """
    if _tracer is None:
        return NO_SPAN
    span = _tracer.start_span(name, context_of(headers), SpanKind.SERVER)
    return CallSpan(span, is_current=True)


def client_span(name: str) -> CallSpan:
    """Return the span of a call to another process; none outside of a call that is sampled.

    Args:
        name: As of `server_span`.
    """
    if _tracer is None or not trace.get_current_span().is_recording():
        return NO_SPAN
    return CallSpan(_tracer.start_span(name, kind=SpanKind.CLIENT))


def work_span(name: str, causes: Iterable[Cause] | None = None) -> CallSpan:
    """Return the span of work that no caller waits for.

    Args:
        name: As of `server_span`.
        causes: The sampled calls that the work is done for, see `cause`: it joins the trace of the
            first, and is linked with the others. Empty: nothing inside is traced. None: the work
            has a trace of its own.
    """
    if _tracer is None:
        return NO_SPAN
    if causes is None:
        return CallSpan(_tracer.start_span(name, Context()), is_current=True)
    contexts = list(causes)
    if not contexts:
        return untraced()
    parent = trace.set_span_in_context(NonRecordingSpan(contexts[0]), Context())
    links = [Link(context) for context in contexts[1:]]
    return CallSpan(_tracer.start_span(name, parent, links=links), is_current=True)


def cause() -> Cause | None:
    """Return what names the current call's span in `work_span`; None if nobody sees that span."""
    if _tracer is None:
        return None
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None


def untraced() -> CallSpan:
    """Return what makes a call inside untraced, here and in the process that serves it.

    For polls, which come every second and find nothing most of the time.
    """
    if _tracer is None:
        return NO_SPAN
    return CallSpan(_UNSAMPLED, is_current=True)


def trace_id() -> str:
    """Return the id of the current trace, 32 hex digits; empty if it is not sampled."""
    context = cause()
    return "" if context is None else trace.format_trace_id(context.trace_id)


def error_type_of(error: BaseException) -> str:
    """Return what a span says of *error*: a `ServiceError`'s reason, else its type."""
    if isinstance(error, ServiceError):
        return error.reason
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return _CANCELLED
    return type(error).__qualname__
