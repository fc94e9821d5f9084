"""Logs as the service writes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from svc_runtime.logging_setup import configure_logging


@pytest.fixture
def log_lines() -> Iterator[StringIO]:
    """What the service logs during the test, one JSON object per line."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = StringIO()
    configure_logging("keyvault-svc", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
