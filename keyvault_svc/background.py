"""What the key service does by itself, for as long as it lives."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.upkeep import Upkeep, UpkeepResult
from svc_runtime.call_context import bind_request_id
from svc_runtime.service_error import ServiceError

_log = structlog.get_logger()

_EXPIRY_SECONDS: Final = 5.0  # how often unsettled leases are looked for
_UPKEEP_SECONDS: Final = 30.0  # how often what is to be destroyed is looked for


async def settle_overdue(accounts: LeaseAccounts) -> None:
    """Settle leases that nobody settled in time."""
    while True:
        await asyncio.sleep(_EXPIRY_SECONDS)
        with bind_request_id():
            try:
                await accounts.expire()
            except ServiceError as error:
                _log.warning("settle_overdue_failed", reason=error.reason)
            except Exception as error:  # noqa: BLE001 - one fault must not end all later work
                _log.error("internal_error", exc_info=error)


async def tidy(upkeep: Upkeep) -> None:
    """Destroy what has to be gone."""
    while True:
        # Replicas that started together shall not look at the same time.
        await asyncio.sleep(_UPKEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        with bind_request_id() as request_id:
            try:
                result = await upkeep.run(request_id)
            except ServiceError as error:
                _log.warning("upkeep_failed", reason=error.reason)
            except Exception as error:  # noqa: BLE001 - as above
                _log.error("internal_error", exc_info=error)
            else:
                _log_upkeep(result)


def _log_upkeep(result: UpkeepResult) -> None:
    if result.done:
        _log.info("upkeep", count=result.done)
    if result.failed:
        _log.warning("upkeep_failed", count=result.failed)
