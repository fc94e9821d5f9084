"""Spans of this process on a tape, as the SDK made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from svc_runtime.telemetry.spans import use_tracer


class SpanTape:
    """What was recorded, in the order in which it ended."""

    def __init__(self, ratio: float) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def only(self) -> ReadableSpan:
        (span,) = self.spans
        return span


@contextmanager
def taping(*, ratio: float = 1.0) -> Iterator[SpanTape]:
    """Record what is traced inside."""
    tape = SpanTape(ratio)
    use_tracer(tape.provider.get_tracer("test"))
    try:
        yield tape
    finally:
        use_tracer(None)
        tape.provider.shutdown()
