"""Logs as JSON lines that hold only what an allow-list names, and no library's prose.

A log is read by more people than the process trusts, so the rule is inverted: a field
passes because `LogField` names it, never because nobody thought of dropping it.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import MutableMapping
from enum import StrEnum
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogValue: TypeAlias = str | int | float | bool | None

MAX_VALUE_CHARS = 512  # One line stays far below the 16 KiB at which container runtimes split it
LIBRARY_LOGGERS = ("aiohttp", "asyncio", "grpc", "hvac", "openai", "urllib3")

_API_KEY = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
_CLOSED_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_log = structlog.stdlib.get_logger()


class LogField(StrEnum):
    """Every name that a log line or an audit record may hold."""

    EVENT = "event"
    LEVEL = "level"
    TIME = "time"
    SERVICE = "service"
    LOGGER = "logger"
    REQUEST_ID = "request_id"
    METHOD = "method"
    CALLER = "caller"
    CODE = "code"
    REASON = "reason"
    DURATION_MS = "duration_ms"
    SOURCE_IP = "source_ip"
    KEY = "key"
    KEY_VERSION = "key_version"
    OTHER_KEY = "other_key"
    GRANT = "grant"
    LEASE = "lease"
    APP = "app"
    ENDPOINT = "endpoint"
    MODEL = "model"
    OWNER = "owner"
    OUTCOME = "outcome"
    USAGE_SOURCE = "usage_source"
    USAGE_SUBJECT = "usage_subject"
    INPUT_TOKENS = "input_tokens"
    CACHED_INPUT_TOKENS = "cached_input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    AUDIO_SECONDS = "audio_seconds"
    IMAGES = "images"
    COST_USD = "cost_usd"
    BODY_SHA256 = "body_sha256"
    HTTP_STATUS = "http_status"
    CLOSE_CODE = "close_code"
    OPENAI_REQUEST_ID = "openai_request_id"
    STATE = "state"
    VAULT_ACCESSOR = "vault_accessor"
    PATH = "path"
    PORT = "port"
    PID = "pid"
    ISSUER = "issuer"
    DETAIL = "detail"
    CAUSE = "cause"
    TTL_SECONDS = "ttl_seconds"
    EXCEPTION = "exception"
    WHERE = "where"
    GENERATION = "generation"
    EXPIRE_TIME = "expire_time"
    COUNT = "count"
    NOTIFICATION = "notification"
    NOTIFICATION_TYPE = "notification_type"
    CHANNEL = "channel"
    ATTEMPT = "attempt"
    RECEIVER_STATUS = "receiver_status"
    PERCENT = "percent"


_ALLOWED_FIELDS = frozenset(LogField)


def configure_logging(service: str, stream: TextIO | None = None) -> None:
    """Send every log of the process to *stream*, one JSON object per line.

    Library loggers are heard from WARNING on, and only by name, level and place: their
    messages may quote a URL, a header or a body. An uncaught exception is logged in the
    same way, by type and place, instead of as a traceback.

    Args:
        service: Value of the `service` field of each line.
        stream: Where to write; standard output when None.
    """

    def add_service(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event[LogField.SERVICE] = service
        return event

    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key=LogField.TIME),
        add_service,
        _place_exception,
        _keep_allowed,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stdout),
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    for name in LIBRARY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught


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
        return _API_KEY.sub("[redacted]", value)[:MAX_VALUE_CHARS]
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return type(value).__name__


def _log_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    _log.critical("uncaught_exception", exc_info=error)


class _LibraryHandler(logging.Handler):
    """Passes on that a library logged something, and where, but not what."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {LogField.LOGGER: record.name}
        fields[LogField.WHERE] = _place(record.pathname, record.lineno)
        if record.exc_info is not None:
            fields["exc_info"] = record.exc_info
        _log.log(_structlog_level(record.levelno), "library_log", **fields)


def _structlog_level(level: int) -> int:
    """Round *level*, which a library may choose freely, down to one that structlog names."""
    named = (logging.CRITICAL, logging.ERROR, logging.WARNING)
    return next((known for known in named if level >= known), logging.INFO)
