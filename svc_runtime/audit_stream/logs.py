"""The logs of a serving process, whose audited lines are its audit stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from svc_runtime.audit_stream.settings import AuditStreamSettings
from svc_runtime.audit_stream.stream import AuditStream, open_audit_stream
from svc_runtime.log_event import LogEvent, LogLevel
from svc_runtime.logging_setup import configure_logging


class LogSettings(Protocol):
    """The settings of logs, which both services have."""

    @property
    def log_level(self) -> str:
        """What is less is left out, except audited events."""

    @property
    def audit_stream(self) -> AuditStreamSettings:
        """Where audited lines go."""


@contextmanager
def audited_logs(
    service: str, settings: LogSettings, events: Iterable[LogEvent]
) -> Iterator[AuditStream]:
    """Send the process's logs where *settings* say, and begin a chain with those of *events*.

    Raises:
        SettingsError: The file of the audit stream cannot be written.
    """
    stream = open_audit_stream(service, settings.audit_stream)
    configure_logging(service, level=LogLevel(settings.log_level), events=events, output=stream)
    try:
        stream.open()
        yield stream
    finally:
        stream.close()
