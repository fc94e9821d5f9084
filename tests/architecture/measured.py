"""What the services can measure, by the modules that hold their instruments."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from gateway_svc import metrics as gateway_metrics
from keyvault_svc import metrics as keyvault_metrics
from svc_runtime.telemetry import metrics_of_calls, metrics_of_process, metrics_of_vault
from svc_runtime.telemetry.metrics import Description, Instrument, MetricKind

BOTH = "both"
GATEWAY = "gateway"
KEY_SERVICE = "key service"
_MODULES: dict[str, tuple[ModuleType, ...]] = {
    BOTH: (metrics_of_calls, metrics_of_process, metrics_of_vault),
    GATEWAY: (gateway_metrics,),
    KEY_SERVICE: (keyvault_metrics,),
}


def descriptions() -> Iterator[tuple[str, Description]]:
    """Yield each metric, with the services that have it."""
    for services, modules in _MODULES.items():
        for module in modules:
            for thing in vars(module).values():
                if isinstance(thing, Instrument):
                    yield services, thing.description


def prometheus_name(metric: Description) -> str:
    """Return what Prometheus calls *metric*, of a histogram without what tells its series apart."""
    unit = {"s": "_seconds", "USD": "_USD"}.get(metric.unit, "")
    total = "_total" if metric.kind is MetricKind.COUNTER else ""
    return metric.name.replace(".", "_") + unit + total


def series() -> dict[str, frozenset[str]]:
    """Return the labels of each of Prometheus' series, by its name."""
    found: dict[str, frozenset[str]] = {}
    for _, metric in descriptions():
        labels = frozenset(label.name.replace(".", "_") for label in metric.labels)
        name = prometheus_name(metric)
        if metric.kind is MetricKind.HISTOGRAM:
            found |= {f"{name}_sum": labels, f"{name}_count": labels}
            found[f"{name}_bucket"] = labels | {"le"}
        else:
            found[name] = labels
    return found
