"""The figures of a process, as text that Prometheus reads."""

from __future__ import annotations

from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from svc_runtime.telemetry.metrics import Counter, bind, instruments

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SCOPE: Final = "keyturn"


class MetricsExport:
    """Lets all instruments of this process measure, and tells their figures when asked.

    One at a time: instruments measure for the newest.
    """

    def __init__(self, service: str) -> None:
        """Measure as *service*, which `target_info` names.

        The environment has no say: it could add labels.
        """
        self._registry = CollectorRegistry(auto_describe=False)
        self._provider = MeterProvider(
            [PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)],
            Resource({"service.name": service}),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        bind(self._provider.get_meter(_SCOPE))

    def text(self) -> bytes:
        """Return the figures of now. Any thread may ask, one at a time."""
        for instrument in instruments():
            if isinstance(instrument, Counter):
                instrument.seed()
        return generate_latest(self._registry)

    def close(self) -> None:
        """Measure no more."""
        bind(None)
        self._provider.shutdown()
