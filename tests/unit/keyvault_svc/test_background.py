from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import pytest
import structlog

from keyvault_svc import background
from keyvault_svc.background import settle_overdue, tidy
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.lease_accounts import LeaseAccounts
from keyvault_svc.domain.limits import Limits
from keyvault_svc.domain.settlement import LeaseOutcome
from keyvault_svc.domain.upkeep import Upkeep, UpkeepResult
from svc_runtime.logging_setup import configure_logging
from svc_runtime.vault.errors import VaultUnavailableError
from tests.unit.keyvault_svc.lease_stage import LeaseStage, limited, outcomes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

DEADLINE_SECONDS = 10.0


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Where the log goes; rounds follow each other at once."""
    monkeypatch.setattr(background, "_EXPIRY_SECONDS", 0.0)
    monkeypatch.setattr(background, "_UPKEEP_SECONDS", 0.0)
    stream = io.StringIO()
    configure_logging("keyvault-svc", stream)
    yield stream
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def _logged(stream: io.StringIO) -> list[dict[str, object]]:
    records = [json.loads(line) for line in _lines(stream)]
    boring = ("service", "time", "where", "request_id")
    return [{k: v for k, v in record.items() if k not in boring} for record in records]


class _Rounds:
    """Work of which each round ends as it is told to; `is_over` after the last of these."""

    def __init__(self, *ends: Exception | UpkeepResult | None) -> None:
        self._ends = list(ends)
        self.request_ids: list[str] = []
        self.is_over = asyncio.Event()

    async def expire(self) -> None:
        await self.run("")

    async def run(self, request_id: str) -> UpkeepResult:
        self.request_ids.append(request_id)
        if not self._ends:
            self.is_over.set()
            return UpkeepResult(0, 0)
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end or UpkeepResult(0, 0)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


STARTS: list[tuple[Callable[[_Rounds], Awaitable[None]], str]] = [
    (lambda rounds: settle_overdue(cast("LeaseAccounts", rounds)), "settle_overdue_failed"),
    (lambda rounds: tidy(cast("Upkeep", rounds)), "upkeep_failed"),
]


@pytest.mark.parametrize(("start", "failure"), STARTS, ids=[start[1] for start in STARTS])
async def test_a_round_that_fails_does_not_end_the_next(
    stream: io.StringIO, start: Callable[[_Rounds], Coroutine[None, None, None]], failure: str
) -> None:
    rounds = _Rounds(
        VaultUnavailableError(), KeyError("canary"), LimitStoreUnavailableError(), None
    )

    async with _running(start(rounds)) as task:
        await rounds.is_over.wait()
        assert not task.done()

    assert _logged(stream) == [
        {"event": failure, "level": "warning", "reason": "VAULT_UNAVAILABLE"},
        {"event": "internal_error", "level": "error", "exception": "KeyError"},
        {"event": failure, "level": "warning", "reason": "LIMIT_STORE_UNAVAILABLE"},
    ]


async def test_each_upkeep_has_a_request_of_its_own_and_tells_what_it_did(
    stream: io.StringIO,
) -> None:
    rounds = _Rounds(UpkeepResult(2, 0), UpkeepResult(0, 0), UpkeepResult(1, 3))

    async with _running(tidy(cast("Upkeep", rounds))):
        await rounds.is_over.wait()

    assert len(set(rounds.request_ids)) == len(rounds.request_ids) >= 4
    first, second, third = (json.loads(line)["request_id"] for line in _lines(stream))
    assert [first, second, third] == [*rounds.request_ids[:1], *rounds.request_ids[2:3] * 2]
    assert _logged(stream) == [
        {"event": "upkeep", "level": "info", "count": 2},
        {"event": "upkeep", "level": "info", "count": 1},
        {"event": "upkeep_failed", "level": "warning", "count": 3},
    ]


@pytest.mark.usefixtures("stream")
async def test_leases_that_nobody_settled_are_settled_once_the_store_is_back() -> None:
    stage, is_asked = LeaseStage(limited(Limits(tokens_per_day=1000))), asyncio.Event()
    lease = await stage.lease()
    stage.clock.advance(60)
    stage.limits.away = {"find"}

    async def settled() -> None:
        while not stage.log.written:
            if stage.limits.asked.count("find") > 1:
                is_asked.set()
                stage.limits.mend()
            await asyncio.sleep(0)

    async with _running(settle_overdue(stage.accounts)):
        await settled()

    assert is_asked.is_set()
    assert outcomes(stage.log.written) == [(lease.lease_id, LeaseOutcome.UNSETTLED)]
