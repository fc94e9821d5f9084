"""Keeps what the health port says in step with what the service can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from svc_runtime.health import HealthServer

_SECONDS: Final = 0.5  # how soon a probe sees a change


async def follow_readiness(
    health: HealthServer, service_names: Sequence[str], is_ready: Callable[[], bool]
) -> None:
    """Report *service_names* as serving while *is_ready*; runs until cancelled."""
    while True:
        for name in service_names:
            await health.set_serving(name, is_ready())
        await asyncio.sleep(_SECONDS)
