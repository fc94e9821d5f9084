"""Whether what the services wrote, to either output, is of their catalogues of events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway_svc.log_events import EVENTS as GATEWAY_EVENTS
from keyturn_cli.local.layout import Layout
from keyvault_svc.log_events import EVENTS as KEY_SERVICE_EVENTS
from svc_runtime.log_event import AUDIT_FIELDS, COMMON_FIELDS, LogEvent
from tests.live_files import whole_lines

_CATALOGUES: Final[Mapping[str, Mapping[str, LogEvent]]] = {
    "gateway-svc": {event.name: event for event in GATEWAY_EVENTS},
    "keyvault-svc": {event.name: event for event in KEY_SERVICE_EVENTS},
}
_ALWAYS: Final = ("event", "level", "time", "service")


def faults_of_logs(layout: Layout) -> list[str]:
    """Return what is wrong with the logs of all services of a local stack, one sentence each.

    A log of the local stack holds both outputs of its process.
    """
    return [
        f"{log.name}: {fault}"
        for service in _CATALOGUES
        for log in logs_of(layout, service)
        for fault in faults_of(whole_lines(log), service)
    ]


def logs_of(layout: Layout, service: str) -> list[Path]:
    """Return the logs of all replicas of *service*."""
    return sorted(layout.logs_dir.glob(f"{service}*.log"))


def faults_of(lines: Iterable[str], service: str) -> Iterator[str]:
    """Yield what is wrong with *lines*, which *service* wrote."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            yield f"is no JSON object: {line}"
            continue
        event = _CATALOGUES[service].get(record.get("event", ""))
        if event is None:
            yield f"is no event of the catalogue: {line}"
            continue
        yield from (f"{fault}: {line}" for fault in _faults(record, event, service))


def _faults(record: Mapping[str, object], event: LogEvent, service: str) -> Iterator[str]:
    if record.get("service") != service:
        yield "is of another service"
    if record.get("level") not in event.levels:
        yield "has a level that its event has not"
    audit_fields = AUDIT_FIELDS if event.is_audited else ()
    for field in record.keys() - {*COMMON_FIELDS, *event.fields, *audit_fields}:
        yield f"has a field that its event has not, {field}"
    for field in _ALWAYS:
        if not record.get(field):
            yield f"lacks {field}"
    if not record.get("request_id") and not event.is_of_process:
        yield "has no request id"
