from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from structlog.testing import capture_logs

from keyvault_svc.anomaly_life import judge
from keyvault_svc.domain.anomalies.judging import AnomalyJudging
from svc_runtime.call_context import current_call

DEADLINE_SECONDS = 10.0


class _Rounds:
    """Judging whose first round breaks; `is_over` after the second."""

    def __init__(self) -> None:
        self.request_ids: list[tuple[str, str]] = []
        self.is_over = asyncio.Event()

    async def run(self, request_id: str) -> None:
        self.request_ids.append((request_id, current_call().request_id))
        if len(self.request_ids) == 1:
            raise RuntimeError
        self.is_over.set()


async def test_each_round_is_a_call_of_its_own_and_a_fault_does_not_end_the_later_ones() -> None:
    rounds = _Rounds()
    with capture_logs() as lines:
        task = asyncio.create_task(judge(cast("AnomalyJudging", rounds), 0.0))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await rounds.is_over.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert [line["event"] for line in lines] == ["internal_error"]
    (given, bound), (next_given, next_bound) = rounds.request_ids[:2]
    assert given == bound != next_given == next_bound
