"""What stores say while they cannot answer, and how they come back."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import LimitStore, Settled
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import NOW, figures, reservation, taken
from tests.limits.store_client import TOKENS
from tests.suspension import suspended
from tests.valkey_server import ValkeyServer

PATIENCE_SECONDS = 0.5
BOUND_SECONDS = 10.0  # far more than the patience, far less than for ever


def _operations(store: LimitStore, owner: OwnerName) -> list[Callable[[], Awaitable[object]]]:
    today = NOW.date()
    return [
        lambda: store.reserve(reservation(owner, "x", TOKENS, tokens=1), NOW),
        lambda: store.settle(taken(owner, "a", tokens=1), NOW),
        lambda: store.find(owner, "a"),
        lambda: store.standings(owner, [TOKENS], NOW),
        lambda: store.usage(owner, today - timedelta(days=9), today),
        lambda: store.forget(owner),
        store.ping,
    ]


async def _assert_unavailable(operation: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        with pytest.raises(LimitStoreUnavailableError):
            await operation()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def _killed(server: ValkeyServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def _without_memory(server: ValkeyServer) -> Iterator[None]:
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield
    server.ask("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def _as_replica(server: ValkeyServer) -> Iterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", "1")
    yield
    server.ask("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("outage", ["killed", "suspended"])
async def test_every_operation_says_that_valkey_is_away_and_works_when_it_is_back(
    own_valkey: ValkeyServer, owner: OwnerName, outage: str
) -> None:
    store = RedisLimitStore(own_valkey.connection(PATIENCE_SECONDS))
    await store.reserve(reservation(owner, "a", TOKENS, tokens=9), NOW)
    away = _killed(own_valkey) if outage == "killed" else suspended(own_valkey.pid)

    with away:
        for operation in _operations(store, owner):
            await _assert_unavailable(operation)

    back = RedisLimitStore(own_valkey.connection())
    await back.ping()  # what was sent before has been done by now
    for operation in _operations(store, owner):
        await operation()
    await store.close()
    await back.close()


@pytest.mark.parametrize("trouble", [_without_memory, _as_replica])
async def test_a_valkey_that_takes_no_writes_is_away_and_refuses_nothing(
    own_valkey: ValkeyServer,
    owner: OwnerName,
    trouble: Callable[[ValkeyServer], AbstractContextManager[None]],
) -> None:
    store = RedisLimitStore(own_valkey.connection())
    await store.reserve(reservation(owner, "a", TOKENS, tokens=9), NOW)

    with trouble(own_valkey):
        await _assert_unavailable(
            lambda: store.reserve(reservation(owner, "b", TOKENS, tokens=9), NOW)
        )
        await _assert_unavailable(lambda: store.settle(taken(owner, "a", tokens=1), NOW))

    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 9)]
    assert await store.settle(taken(owner, "a", tokens=1), NOW) == Settled()
    await store.close()


@contextmanager
def _full_disk() -> Iterator[None]:
    """Let no file of this process grow, which SQLite meets as it meets a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_on_a_full_disk_is_away_refuses_nothing_and_works_when_there_is_room(
    tmp_path: Path, owner: OwnerName
) -> None:
    store = FileLimitStore(tmp_path / "limits.db")
    await store.reserve(reservation(owner, "a", TOKENS, tokens=9), NOW)

    with _full_disk():
        await _assert_unavailable(
            lambda: store.reserve(reservation(owner, "b", TOKENS, tokens=9), NOW)
        )
        await _assert_unavailable(lambda: store.settle(taken(owner, "a", tokens=1), NOW))

    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 9)]
    assert await store.settle(taken(owner, "a", tokens=1), NOW) == Settled()
    await store.close()


async def test_a_file_on_a_stuck_disk_is_away_in_time_and_does_not_do_what_nobody_waits_for(
    tmp_path: Path, owner: OwnerName
) -> None:
    store = FileLimitStore(tmp_path / "limits.db", timeout_seconds=PATIENCE_SECONDS)
    await store.reserve(reservation(owner, "a", TOKENS, tokens=9), NOW)
    goes_on = threading.Event()

    def stand_still(_: sqlite3.Connection) -> None:
        goes_on.wait(BOUND_SECONDS * 2)

    stuck = asyncio.create_task(store._commits.run(stand_still))
    await asyncio.gather(
        *(_assert_unavailable(operation) for operation in _operations(store, owner))
    )
    with pytest.raises(LimitStoreUnavailableError):
        await stuck
    goes_on.set()

    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 9)]
    for operation in _operations(store, owner):
        await operation()
    await store.close()


async def test_a_closed_file_is_away(owner: OwnerName) -> None:
    store = FileLimitStore(None)
    await store.close()

    for operation in _operations(store, owner):
        await _assert_unavailable(operation)
