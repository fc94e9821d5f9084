"""Counts the events of the log that security should look at, as they are logged."""

from __future__ import annotations

from collections.abc import Iterable

from structlog.typing import EventDict, Processor, WrappedLogger

from svc_runtime.log_event import LogEvent
from svc_runtime.log_fields import LogField
from svc_runtime.telemetry.metrics_of_process import SECURITY_EVENT, SECURITY_EVENTS


def counting_security(events: Iterable[LogEvent]) -> Processor:
    """Return a processor that counts those of *events* that are for security."""
    names = frozenset(event.name for event in events if event.is_security)
    SECURITY_EVENT.allow(names)

    def count(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        if (name := event[LogField.EVENT]) in names:
            SECURITY_EVENTS.add(1, name)
        return event

    return count
