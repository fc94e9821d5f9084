"""All checks of `keyturn doctor`, run side by side."""

from __future__ import annotations

import asyncio

from keyturn_cli.check_result import CheckResult
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.connection_checks import check_gateway_grpc, check_gateway_http, check_owner_port
from keyturn_cli.drift_check import check_drift
from keyturn_cli.file_checks import check_files
from keyturn_cli.vault_checks import check_vault
from svc_runtime.clock import Clock


async def examine(
    settings: ClientSettings, clock: Clock, timeout_seconds: float
) -> list[CheckResult]:
    """Run every check, each with at most *timeout_seconds* for one answer."""
    now = clock.now()
    grpc_port, owner_port, http_port, vault, drift = await asyncio.gather(
        check_gateway_grpc(settings, now, timeout_seconds),
        check_owner_port(settings, now, timeout_seconds),
        check_gateway_http(settings, timeout_seconds),
        check_vault(settings, clock, timeout_seconds),
        check_drift(settings),
    )
    return [*check_files(settings, now), grpc_port, http_port, owner_port, *vault, drift]
