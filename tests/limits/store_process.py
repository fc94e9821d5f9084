"""`store_client.py` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def store_client(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run it inside of the block; it is killed at the end, if not before."""
    with subprocess.Popen(
        [sys.executable, str(_ROOT / "tests" / "limits" / "store_client.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """Return the next *count* lines that it tells."""
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]
