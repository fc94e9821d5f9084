"""What finds unusual use, put together, and run for as long as the process lives."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from keyvault_svc.anomaly_log import StructuredAnomalyLog
from keyvault_svc.anomaly_settings import AnomalySettings
from keyvault_svc.domain.anomalies.judging import AnomalyJudging, JudgingDoors
from keyvault_svc.domain.anomalies.watch import MAX_TALLIES, UseWatch
from keyvault_svc.doors import Doors
from keyvault_svc.key_life import KeyLife
from svc_runtime.call_context import CallContext, bind_call, new_request_id
from svc_runtime.clock import Clock

_log = structlog.get_logger()

_METHOD: Final = "anomalies"  # how the log calls a run, where it calls others by their RPC


class AnomalyLife:
    """Everything that finds unusual use, and acts on it.

    Attributes:
        watch: What observes.
    """

    def __init__(
        self, doors: Doors, keys: KeyLife, settings: AnomalySettings, clock: Clock
    ) -> None:
        self._settings = settings
        # Nobody takes what is observed where nothing is judged.
        self.watch = UseWatch(clock, max_tallies=MAX_TALLIES if settings.enabled else 0)
        self._judging = AnomalyJudging(
            self.watch,
            JudgingDoors(
                doors.baselines,
                keys.store,
                keys.operating,
                doors.notifier,
                StructuredAnomalyLog(),
            ),
            settings.policy(),
            clock,
        )

    async def run(self) -> None:
        """Judge what is observed, for ever; return at once where that is switched off."""
        if self._settings.enabled:
            await judge(self._judging, self._settings.every_seconds)


async def judge(judging: AnomalyJudging, every_seconds: float) -> None:
    """Judge what was observed, about *every_seconds*."""
    while True:
        # Replicas that started together shall not look at the same time.
        await asyncio.sleep(every_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        with bind_call(CallContext(new_request_id(), _METHOD)) as call:
            try:
                await judging.run(call.request_id)
            except Exception as error:  # noqa: BLE001 - one fault must not end all later work
                _log.error("internal_error", exc_info=error)
