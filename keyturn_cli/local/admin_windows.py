"""The times in which the stack's administrator works in Vault, for `keyturn audit verify`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

from svc_runtime.clock import Clock


@contextmanager
def administration(file: Path, clock: Clock) -> Iterator[None]:
    """Do what the block does with the root token, and add its time to *file*, one line a time.

    A process that is killed in between adds none, and what it did is found later.

    Args:
        file: Made if missing; its folder is there by the end of the block.
        clock: That of Vault's machine.
    """
    start = clock.now()
    try:
        yield
    finally:
        window = "/".join(time.astimezone(UTC).isoformat() for time in (start, clock.now()))
        with file.open("a", encoding="ascii") as lines:
            lines.write(f"{window}\n")
