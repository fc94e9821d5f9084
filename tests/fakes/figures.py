"""The figures that instruments measure while a test runs, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from svc_runtime.telemetry.metrics_export import MetricsExport

Labels: TypeAlias = "tuple[tuple[str, str], ...]"
Sample: TypeAlias = "tuple[str, frozenset[tuple[str, str]]]"


def samples(text: str) -> list[tuple[Sample, float]]:
    """Return what *text* says, in order, empty labels left out as Prometheus does."""
    return [
        ((sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


class Figures:
    """Everything measured so far, by Prometheus' names of series."""

    def __init__(self, export: MetricsExport) -> None:
        self._export = export

    def all(self) -> dict[tuple[str, Labels], float]:
        """Return all values by name and labels."""
        return {
            (name, tuple(sorted(labels))): value
            for (name, labels), value in samples(self._export.text().decode())
        }

    def of(self, name: str) -> dict[Labels, float]:
        """Return the values of *name* that are not zero, by their labels."""
        return {
            labels: value for (found, labels), value in self.all().items() if found == name if value
        }


@contextmanager
def measured_figures() -> Iterator[Figures]:
    """Let this process measure, from nothing on."""
    export = MetricsExport("test-svc")
    try:
        yield Figures(export)
    finally:
        export.close()
