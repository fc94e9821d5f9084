"""The page about metrics names every metric and every label, and nothing that does not exist."""

from __future__ import annotations

from collections import deque

from svc_runtime.telemetry.metrics import instruments
from tests.architecture.documented_tables import code_words, table_rows
from tests.architecture.measured import descriptions, prometheus_name
from tests.architecture.source_tree import modules

PAGE = "docs/metrics.md"


def test_every_metric_is_documented_as_it_is() -> None:
    documented = {
        code_words(name)[0]: (code_words(shown)[0], kind, of, tuple(code_words(labels)), meaning)
        for name, shown, kind, of, labels, meaning in table_rows(PAGE, "What is measured", "metric")
    }

    assert documented == {
        metric.name: (
            prometheus_name(metric),
            metric.kind.value,
            services,
            tuple(label.name for label in metric.labels),
            metric.meaning,
        )
        for services, metric in descriptions()
    }


def test_every_label_is_documented() -> None:
    documented = [code_words(label)[0] for label, _ in table_rows(PAGE, "Labels", "label")]

    labels = {label.name for _, metric in descriptions() for label in metric.labels}
    assert sorted(documented) == sorted(labels)


def test_no_instrument_stands_where_nobody_looks() -> None:
    for package in ("gateway_svc", "keyvault_svc", "svc_runtime"):
        deque(modules(package), maxlen=0)

    found = {instrument.description.name for instrument in instruments()}
    assert found == {metric.name for _, metric in descriptions()}


def test_labels_of_one_metric_differ() -> None:
    for _, metric in descriptions():
        names = [label.name for label in metric.labels]
        assert len(set(names)) == len(names)
