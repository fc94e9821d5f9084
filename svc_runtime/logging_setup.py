"""Logs as JSON lines that hold only what an allow-list names, and no library's prose.

A log is read by more people than the process trusts, so the rule is inverted: a field
passes because `LogField` names it, never because nobody thought of dropping it.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from svc_runtime.log_event import LogEvent, LogLevel, audited_names
from svc_runtime.log_fields import LogField, LogValue
from svc_runtime.log_output import LineLogger, LineOutput, StreamOutput, rendering
from svc_runtime.telemetry.security_events import counting_security

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

MAX_VALUE_CHARS = 512  # One line stays far below the 16 KiB at which container runtimes split it
LIBRARY_LOGGERS = (
    "aiohttp",
    "aiosmtplib",
    "asyncio",
    "grpc",
    "hvac",
    "openai",
    "opentelemetry",
    "redis",
    "urllib3",
)

_KEY_PREFIX = "sk-"  # looked for first: few values have it, and each of every line is looked at
_API_KEY = re.compile(_KEY_PREFIX + r"[A-Za-z0-9_-]{8,}")
_CLOSED_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_log = structlog.stdlib.get_logger()
_ALLOWED_FIELDS = frozenset(LogField)
_NUMBERS: Final[Mapping[str, int]] = {
    level: logging.getLevelNamesMapping()[level.upper()] for level in LogLevel
}


def configure_logging(
    service: str,
    stream: TextIO | None = None,
    *,
    level: LogLevel = LogLevel.INFO,
    events: Iterable[LogEvent] = (),
    output: LineOutput | None = None,
) -> None:
    """Send every log of the process to *stream*, one JSON object per line.

    Library loggers are heard from WARNING on, and only by name, level and place: their
    messages may quote a URL, a header or a body. Warnings of Python and exceptions that nothing
    caught, in any thread, are logged in the same way, by type and place.

    Args:
        service: Value of the `service` field of each line.
        stream: Where to write; standard output when None.
        level: What is less is left out, except audited events.
        events: The service's catalogue.
        output: Where to write instead of a stream.
    """
    threshold = _NUMBERS[level]
    audited = audited_names(events)

    def drop_below_level(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        if _NUMBERS[name] < threshold and event[LogField.EVENT] not in audited:
            raise structlog.DropEvent
        return event

    def add_service(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event[LogField.SERVICE] = service
        return event

    processors: list[Processor] = [
        drop_below_level,
        counting_security(events),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key=LogField.TIME),
        add_service,
        _place_exception,
        _keep_allowed,
        rendering(audited),
    ]
    lines = LineLogger(output or StreamOutput(stream or sys.stdout))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(min(threshold, logging.INFO)),
        logger_factory=lambda *_: lines,
    )
    logging.basicConfig(
        handlers=[_LibraryHandler(logging.WARNING)], level=logging.WARNING, force=True
    )
    for name in LIBRARY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.showwarning = _log_warning
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread


def exception_name(error: BaseException) -> str:
    """Return the type of *error*, such as `hvac.exceptions.Forbidden`; never its text."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def exception_place(error: BaseException) -> str:
    """Return `file:line` of the innermost frame that *error* passed; empty if never raised."""
    frame = error.__traceback__
    if frame is None:
        return ""
    while frame.tb_next is not None:
        frame = frame.tb_next
    return _place(frame.tb_frame.f_code.co_filename, frame.tb_lineno)


def _place(filename: str, line: int) -> str:
    # Three parts name the module; more would only tell where the machine keeps it.
    return f"{'/'.join(PurePath(filename).parts[-3:])}:{line}"


def _place_exception(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Put type and place where structlog would put a traceback."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event[LogField.EXCEPTION] = exception_name(error)
        event[LogField.WHERE] = exception_place(error)
    return event


def _keep_allowed(
    _logger: WrappedLogger, _name: str, event: EventDict
) -> MutableMapping[str, LogValue]:
    """Drop what `LogField` does not name; make the rest short, plain and free of keys."""
    kept = {name: _plain(value) for name, value in event.items() if name in _ALLOWED_FIELDS}
    detail = kept.get(LogField.DETAIL)
    if isinstance(detail, str) and not _CLOSED_WORD.fullmatch(detail):
        kept[LogField.DETAIL] = "[not a word]"
    return kept


def _plain(value: Any) -> LogValue:  # noqa: ANN401  # a log call may pass anything
    if isinstance(value, str):
        # Redaction goes first: cutting could leave a part of a key that is too short to match.
        text: str = value if _KEY_PREFIX not in value else _API_KEY.sub("[redacted]", value)
        return text[:MAX_VALUE_CHARS]
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return type(value).__name__


def _log_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    _log.critical("uncaught_exception", exc_info=error)


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is not SystemExit:
        _log.critical("uncaught_exception", exc_info=arguments.exc_value)


def _log_unraisable(unraisable: UnraisableHookArgs) -> None:
    _log.critical("uncaught_exception", exc_info=unraisable.exc_value)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del message, file, line
    _log.warning(
        "library_log",
        logger="py.warnings",
        exception=category.__qualname__,
        where=_place(filename, lineno),
    )


class _LibraryHandler(logging.Handler):
    """Passes on that a library logged something, and where, but not what."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {LogField.LOGGER: record.name}
        fields[LogField.WHERE] = _place(record.pathname, record.lineno)
        if record.exc_info is not None:
            fields["exc_info"] = record.exc_info
        # Rounded down: a library may choose its levels freely.
        if record.levelno >= logging.CRITICAL:
            _log.critical("library_log", **fields)
        elif record.levelno >= logging.ERROR:
            _log.error("library_log", **fields)
        else:
            _log.warning("library_log", **fields)
