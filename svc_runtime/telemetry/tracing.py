"""Sends spans to an OTLP receiver, beside all calls: what cannot be sent in time is dropped."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from svc_runtime.settings_models import SettingsError
from svc_runtime.telemetry.settings import TelemetrySettings
from svc_runtime.telemetry.spans import use_tracer

_log = structlog.get_logger()

# The one says what a caller sent that is malformed, the others what `spans_lost` says.
_SILENT: Final = (
    "opentelemetry.trace.span",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.sdk._shared_internal",
)

_SCOPE: Final = "keyturn"
_MAX_WAITING: Final = 4096  # spans; some 10 MB
_BATCH: Final = 512
_PAUSE_SECONDS: Final = 1.0
_EXPORT_SECONDS: Final = 5.0  # of one batch, repetitions included
_FLUSH_SECONDS: Final = 3.0  # of the last batches, when the process ends
_REPORT_SECONDS: Final = 60.0
_MAX_ATTRIBUTES: Final = 32
_MAX_VALUE_CHARACTERS: Final = 256
_MAX_LINKS: Final = 500


@asynccontextmanager
async def tracing(settings: TelemetrySettings, service: str) -> AsyncIterator[None]:
    """Trace what happens inside, if *settings* name a receiver; one at a time.

    On the way out, what waits is sent within seconds, or dropped.

    Args:
        settings: Where to send spans, and how many.
        service: Names this process.

    Raises:
        SettingsError: The receiver's CA file cannot be read.
    """
    if settings.otlp_endpoint is None:
        yield
        return
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    outlet = _Outlet(_exporter(settings.otlp_endpoint, settings.otlp_ca_file))
    provider = _provider(service, settings.trace_ratio)
    provider.add_span_processor(outlet.processor)
    reporting = asyncio.create_task(_report(outlet))
    use_tracer(provider.get_tracer(_SCOPE))
    try:
        yield
    finally:
        use_tracer(None)
        reporting.cancel()
        await outlet.close(_FLUSH_SECONDS)
        _tell_loss(outlet)


def _provider(service: str, ratio: float) -> TracerProvider:
    # The environment has no say: nothing is left to the SDK's variables.
    return TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource({"service.name": service, "service.namespace": "keyturn"}),
        shutdown_on_exit=False,
        span_limits=SpanLimits(
            max_attributes=_MAX_ATTRIBUTES,
            max_events=_MAX_ATTRIBUTES,
            max_links=_MAX_LINKS,
            max_attribute_length=_MAX_VALUE_CHARACTERS,
        ),
    )


async def _report(outlet: _Outlet) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        _tell_loss(outlet)


def _tell_loss(outlet: _Outlet) -> None:
    count = outlet.take_lost_count()
    if count:
        _log.warning("spans_lost", count=count)


class _Outlet:
    """A queue of spans, and the thread that sends them. A full queue takes no more."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._lock = threading.Lock()
        self._waiting_count = 0
        self._lost_count = 0
        self.processor = _BoundedProcessor(self, exporter)

    def admits(self) -> bool:
        """Count one more span if there is room for it, and a lost one if not."""
        with self._lock:
            if self._waiting_count >= _MAX_WAITING:
                self._lost_count += 1
                return False
            self._waiting_count += 1
            return True

    def sent(self, count: int, *, is_arrived: bool) -> None:
        """Note that *count* spans wait no more."""
        with self._lock:
            self._waiting_count -= count
            self._lost_count += 0 if is_arrived else count

    def take_lost_count(self) -> int:
        """Return how many spans were lost since the last time."""
        with self._lock:
            count, self._lost_count = self._lost_count, 0
            return count

    async def close(self, seconds: float) -> None:
        """Send what waits, within *seconds*."""
        sending = asyncio.create_task(asyncio.to_thread(self.processor.shutdown))
        await asyncio.wait({sending}, timeout=seconds)
        # Breaks off what is under way, so that the thread, and with it the process, can end.
        self._exporter.shutdown()
        await sending


class _BoundedProcessor(BatchSpanProcessor):
    """The SDK's queue and thread; the SDK would write a log line where it drops a span."""

    def __init__(self, outlet: _Outlet, exporter: OTLPSpanExporter) -> None:
        super().__init__(
            _CountingExporter(outlet, exporter),
            max_queue_size=_MAX_WAITING,
            schedule_delay_millis=_PAUSE_SECONDS * 1000,
            max_export_batch_size=_BATCH,
            export_timeout_millis=_EXPORT_SECONDS * 1000,
        )
        self._outlet = outlet

    def on_end(self, span: ReadableSpan) -> None:
        if self._outlet.admits():
            super().on_end(span)


class _CountingExporter(SpanExporter):
    """Tells the outlet what became of each batch."""

    def __init__(self, outlet: _Outlet, exporter: OTLPSpanExporter) -> None:
        self._outlet = outlet
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._outlet.sent(len(spans), is_arrived=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Leave the exporter to the outlet."""


def _exporter(endpoint: str, ca_file: Path | None) -> OTLPSpanExporter:
    try:
        ca = None if ca_file is None else ca_file.read_bytes()
    except OSError as error:
        raise SettingsError(f"telemetry.otlp_ca_file: {ca_file}: {error.strerror}") from error
    return OTLPSpanExporter(
        endpoint,
        insecure=False,
        credentials=grpc.ssl_channel_credentials(ca),
        timeout=_EXPORT_SECONDS,
        compression=grpc.Compression.NoCompression,
        channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]  # gRPC takes a number only
    )
