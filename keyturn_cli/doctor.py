"""All checks of `keyturn doctor`, run side by side."""

from __future__ import annotations

import asyncio

from keyturn_cli.check_result import CheckResult, CheckState, skipped
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.connection_checks import check_gateway_grpc, check_gateway_http, check_owner_port
from keyturn_cli.drift_check import SET_UP_CHECK, AdminAccess, check_drift
from keyturn_cli.file_checks import check_files
from keyturn_cli.settings_check import check_settings
from keyturn_cli.vault_checks import check_vault
from svc_runtime.clock import Clock


async def examine(
    settings: ClientSettings, clock: Clock, timeout_seconds: float, access: AdminAccess
) -> list[CheckResult]:
    """Run every check for which something is configured, and say what the others would take.

    Each has at most *timeout_seconds* for one answer.

    Args:
        settings: Where Keyturn is.
        clock: This machine's.
        timeout_seconds: Above 0.
        access: With what to compare how Vault is set up.
    """
    now = clock.now()
    grpc_port, owner_port, http_port, vault = await asyncio.gather(
        check_gateway_grpc(settings, now, timeout_seconds),
        check_owner_port(settings, now, timeout_seconds),
        check_gateway_http(settings, timeout_seconds),
        _check_vault(settings, clock, timeout_seconds, access),
    )
    return [
        check_settings(settings, compares_set_up=bool(access.config and access.token_file)),
        *check_files(settings, now),
        *(grpc_port, http_port, owner_port),
        *vault,
    ]


async def _check_vault(
    settings: ClientSettings, clock: Clock, timeout_seconds: float, access: AdminAccess
) -> list[CheckResult]:
    """Check Vault, and how it is set up only if it serves: one cause is one problem."""
    vault = await check_vault(settings, clock, timeout_seconds)
    if any(result.state is CheckState.PROBLEM for result in vault):
        return [*vault, skipped(SET_UP_CHECK, "Vault must be mended first")]
    return [*vault, *await check_drift(settings, access)]
