from __future__ import annotations

import asyncio
import time

import pytest

from svc_runtime.telemetry import event_loop_lag
from tests.fakes.figures import measured_figures

HELD_UP_SECONDS = 0.2


async def test_what_holds_the_event_loop_up_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop_lag, "_SECONDS", 0.01)
    with measured_figures() as figures:
        measuring = asyncio.create_task(event_loop_lag.measure_event_loop_lag())
        await asyncio.sleep(0)  # it waits now
        time.sleep(HELD_UP_SECONDS)  # noqa: ASYNC251  # what is to be measured
        async with asyncio.timeout(10):
            while not figures.of("keyturn_event_loop_lag_seconds_count"):  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.01)
        measuring.cancel()
        (lag,) = figures.of("keyturn_event_loop_lag_seconds_sum").values()

    assert lag > HELD_UP_SECONDS / 2
