"""What a process does with faults that nothing caught, kept through a test that changes it."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def process_hooks() -> Iterator[None]:
    """Put the hooks back that `configure_logging` takes: pytest sees background faults by them."""
    kept = (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning)
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = kept
