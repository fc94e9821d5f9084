"""What the event loop is told of: failures of tasks and callbacks that nobody waits for."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def faults_of_loop() -> Iterator[list[dict[str, Any]]]:
    """Enter with what the running event loop is told that nobody caught; complete at the end."""
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    try:
        yield faults
    finally:
        gc.collect()  # a task tells of its failure when it is collected
        loop.set_exception_handler(None)
