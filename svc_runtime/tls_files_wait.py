"""A start before the certificate is there, as where a helper beside the service fetches it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from svc_runtime.clock import Clock
from svc_runtime.tls_files import TLSFiles, TLSFilesError, TLSFilesWatcher

_log = structlog.get_logger()

_LOOK_SECONDS: Final = 0.5


async def awaited_tls_files(
    files: TLSFiles,
    clock: Clock,
    wait_seconds: float,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> TLSFilesWatcher:
    """Return the watcher of *files* once they can be used.

    Args:
        files: Where they are, or will be.
        clock: Source of time.
        wait_seconds: How long they may take; 0 for not at all.
        sleep: Waits for a number of seconds.

    Raises:
        TLSFilesError: They cannot be used, after all that time.
    """
    give_up = clock.monotonic() + wait_seconds
    is_told = False
    while True:
        try:
            return TLSFilesWatcher(files, clock)
        except TLSFilesError:
            if clock.monotonic() >= give_up:
                raise
        if not is_told:
            is_told = True
            _log.warning("certificate_awaited", path=str(files.certificate))
        await sleep(_LOOK_SECONDS)
