"""What the key service does by itself, for as long as it lives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.upkeep import Upkeep
from svc_runtime.call_context import new_request_id
from svc_runtime.service_error import ServiceError

_log = structlog.get_logger()

_EXPIRY_SECONDS: Final = 5.0  # how often unsettled leases are looked for
_UPKEEP_SECONDS: Final = 30.0  # how often what is to be destroyed is looked for


async def settle_overdue(accounts: LeaseAccounts) -> None:
    """Settle leases that nobody settled in time."""
    while True:
        await asyncio.sleep(_EXPIRY_SECONDS)
        await _survive("settle_overdue_failed", accounts.expire)


async def tidy(upkeep: Upkeep) -> None:
    """Destroy what has to be gone."""

    async def run() -> None:
        result = await upkeep.run(new_request_id())
        if result.done:
            _log.info("upkeep", count=result.done)
        if result.failed:
            _log.warning("upkeep_failed", count=result.failed)

    while True:
        # Replicas that started together shall not look at the same time.
        await asyncio.sleep(_UPKEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        await _survive("upkeep_failed", run)


async def _survive(failure: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do *work*; one fault must not end all later work."""
    try:
        await work()
    except ServiceError as error:
        _log.warning(failure, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - as said above
        _log.error("internal_error", exc_info=error)
