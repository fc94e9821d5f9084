"""How late the event loop is: what every call waits for, whatever else it waits for."""

from __future__ import annotations

import asyncio
from typing import Final

from svc_runtime.telemetry.metrics_of_process import EVENT_LOOP_LAG

_SECONDS: Final = 0.5


async def measure_event_loop_lag() -> None:
    """Ask to be woken twice a second, and measure by how much that is late; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _SECONDS
        await asyncio.sleep(_SECONDS)
        EVENT_LOOP_LAG.record(max(0.0, loop.time() - due))
