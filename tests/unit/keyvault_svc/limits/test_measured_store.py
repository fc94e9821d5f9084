from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import Held
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.measured_store import MeasuredLimitStore
from tests.fakes.breakable_limit_store import BreakableLimitStore
from tests.fakes.figures import Figures, measured_figures
from tests.limits.limit_samples import NOW, limit, reservation, taken

COUNT = "keyturn_limit_store_duration_seconds_count"
ALICE = OwnerName.parse("users/alice", "owner")


@dataclass
class Stage:
    """A measured store in memory."""

    inner: BreakableLimitStore
    store: MeasuredLimitStore
    figures: Figures


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    inner = BreakableLimitStore(FileLimitStore(None))
    store = MeasuredLimitStore(inner)
    with measured_figures() as figures:
        yield Stage(inner, store, figures)
    await store.close()


def _labels(operation: str, outcome: str) -> tuple[tuple[str, str], ...]:
    return (("operation", operation), ("outcome", outcome))


async def test_every_operation_is_passed_on_and_measured(stage: Stage) -> None:
    store = stage.store
    today = NOW.date()

    held = await store.reserve(
        reservation(ALICE, "1" * 32, limit(LimitKind.REQUESTS_PER_MINUTE, 5)), NOW
    )
    await store.settle(taken(ALICE, "1" * 32), NOW)
    known = await store.find(ALICE, "1" * 32)
    standings = await store.standings(ALICE, [limit(LimitKind.REQUESTS_PER_MINUTE, 5)], NOW)
    usage = await store.usage(ALICE, today, today)
    forgotten = await store.forget(ALICE)
    await store.ping()

    assert isinstance(held, Held)
    assert known is not None
    assert known.is_settled
    assert (len(standings), usage) == (1, [])
    assert forgotten > 0
    assert stage.figures.of(COUNT) == {
        _labels(operation, "ok"): 1 for operation in stage.inner.asked
    }


async def test_what_does_not_fit_is_no_fault(stage: Stage) -> None:
    await stage.store.reserve(
        reservation(ALICE, "1" * 32, limit(LimitKind.REQUESTS_PER_MINUTE, 0)), NOW
    )

    assert stage.figures.of(COUNT) == {_labels("reserve", "exceeded"): 1}


async def test_a_store_that_is_away_is_measured_so(stage: Stage) -> None:
    stage.inner.break_all()

    with pytest.raises(LimitStoreUnavailableError):
        await stage.store.ping()

    assert stage.figures.of(COUNT) == {_labels("ping", "unavailable"): 1}


async def test_a_caller_that_gives_up_is_no_fault_of_the_store(stage: Stage) -> None:
    asked = asyncio.Event()

    async def hang() -> None:
        asked.set()
        await asyncio.Event().wait()

    stage.inner.after["ping"] = hang
    asking = asyncio.create_task(stage.store.ping())
    await asked.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert stage.figures.of(COUNT) == {_labels("ping", "cancelled"): 1}
