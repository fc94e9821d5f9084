"""The form of a log event in a service's catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from svc_runtime.log_fields import LogField as F


class LogLevel(StrEnum):
    """How bad an event is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event of the log.

    Attributes:
        name: Value of the field `event`.
        level: Its level; more than one for an event that is now and then worse.
        meaning: What happened, for whoever reads the log.
        remedy: What to do about it; empty when nothing is to be done.
        fields: What its line may say beyond `COMMON_FIELDS`. A field without a value is left out,
            or null.
        is_audited: Whether the line is evidence: it is written whatever the level that the
            settings ask for, and belongs to the audit stream.
        is_security: Whether it is for security to look at.
        is_of_process: Whether it is about the process, so that its line may be without a request
            id. Any other line has one.
    """

    name: str
    level: LogLevel | tuple[LogLevel, ...]
    meaning: str
    remedy: str = ""
    fields: tuple[F, ...] = ()
    is_audited: bool = False
    is_security: bool = False
    is_of_process: bool = False

    @property
    def levels(self) -> tuple[LogLevel, ...]:
        """Every level that it can have."""
        return (self.level,) if isinstance(self.level, LogLevel) else self.level


COMMON_FIELDS: Final = (F.EVENT, F.LEVEL, F.TIME, F.SERVICE, F.REQUEST_ID, F.TRACE_ID)
"""What any line may say; `request_id` where it belongs to a call or a run of background work."""

AUDIT_FIELDS: Final = (F.CHAIN, F.SEQ, F.PREV)
"""What any audited line says besides."""

FAULT_FIELDS: Final = (F.EXCEPTION, F.WHERE)
"""What `exc_info` of a log call becomes."""

CALL_FIELDS: Final = (
    F.METHOD,
    F.CALLER,
    F.SOURCE_IP,
    F.CODE,
    F.REASON,
    F.DURATION_MS,
)
"""What the record of any call says."""


def audited_names(events: Iterable[LogEvent]) -> frozenset[str]:
    """Return the names of the audited ones among *events*."""
    return frozenset(event.name for event in events if event.is_audited)
