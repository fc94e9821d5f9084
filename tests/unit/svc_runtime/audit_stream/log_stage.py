"""A process's logs in a test: the audited ones are a chain."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog

from svc_runtime.audit_stream.stream import AuditStream
from svc_runtime.log_event import LogEvent
from svc_runtime.log_events import RUNTIME_EVENTS
from svc_runtime.logging_setup import LIBRARY_LOGGERS, configure_logging


@contextmanager
def logs_to(stream: AuditStream, events: Iterable[LogEvent] = RUNTIME_EVENTS) -> Iterator[None]:
    """Send logs, with *events* for a catalogue, to *stream*; put everything back afterwards."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers[:], []
    level = root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARY_LOGGERS}
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning)
    configure_logging("test-svc", events=events, output=stream)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers = handlers
        root.setLevel(level)
        for name, old in levels.items():
            logging.getLogger(name).setLevel(old)
        (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning) = hooks
