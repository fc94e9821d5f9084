"""Lets a service process measure itself, for as long as it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from svc_runtime.telemetry.event_loop_lag import measure_event_loop_lag
from svc_runtime.telemetry.metrics_export import MetricsExport
from svc_runtime.telemetry.metrics_of_process import CERTIFICATE_EXPIRY
from svc_runtime.telemetry.metrics_of_vault import VAULT_READY, VAULT_TOKEN_TTL
from svc_runtime.telemetry.metrics_port import MetricsPort
from svc_runtime.tls_files import TLSFilesWatcher
from svc_runtime.vault.session import VaultSession


@asynccontextmanager
async def measuring(
    service: str, address: str | None, session: VaultSession, watcher: TLSFilesWatcher
) -> AsyncIterator[int]:
    """Measure, serve the figures at *address*, and enter with the port; for None do none of it.

    Args:
        service: What the figures are of.
        address: `host:port`; port 0 takes a free one.
        session: Whose token is watched.
        watcher: Whose certificate is watched.

    Raises:
        OSError: The address cannot be bound.
    """
    if address is None:
        yield 0
        return
    VAULT_READY.follow(lambda: float(session.is_ready))
    VAULT_TOKEN_TTL.follow(lambda: session.token_ttl_seconds)
    CERTIFICATE_EXPIRY.follow(watcher.seconds_left)
    export = MetricsExport(service)
    port = MetricsPort(export, address)
    lag = asyncio.create_task(measure_event_loop_lag())
    try:
        yield await port.start()
    finally:
        lag.cancel()
        await port.stop()
        export.close()
