"""The Redis store behind sentinels, and in a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyvault_svc.domain.anomalies.baseline_store import Change, Operation
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import Exceeded, Held, LimitStore
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection, RedisKind
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import GRANT, NOW, figures, limit, reservation, row, settled, taken
from tests.valkey_server import ValkeyServer

LOOPBACK = "127.0.0.1"
LIMITS = (limit(LimitKind.CONCURRENT_CALLS, 1), limit(LimitKind.TOKENS_PER_DAY, 9))
CHANGES = [
    Change(Operation.ADD, "added", 1),
    Change(Operation.RAISE, "raised", 1),
    Change(Operation.CLAIM, "claimed", 1),
    Change(Operation.DROP, "dropped"),
]
SLOTS = 16_384
PRIMARY = "keyturn-limits"
POLL_SECONDS = 0.05
WITHIN_SECONDS = 60.0


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not is_so():  # noqa: ASYNC110 - another process changes it, and tells nobody
            await asyncio.sleep(POLL_SECONDS)


async def _until_it_answers(store: LimitStore) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while True:
            try:
                return await store.ping()
            except LimitStoreUnavailableError:
                await asyncio.sleep(POLL_SECONDS)


def _servers(folder: Path, count: int, *options: str) -> list[ValkeyServer]:
    servers = []
    for number in range(count):
        home = folder / str(number)
        home.mkdir()
        servers.append(ValkeyServer(home, *options))
    return servers


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[ValkeyServer]]:
    servers = _servers(tmp_path, 2, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[ValkeyServer]]:
    servers = _servers(tmp_path, 2)
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


async def _use(store: RedisLimitStore, owner: OwnerName) -> None:
    await store.ping()
    first = await store.reserve(reservation(owner, "a", *LIMITS, tokens=5), NOW)
    second = await store.reserve(reservation(owner, "b", *LIMITS, tokens=5), NOW)
    settled(await store.settle(taken(owner, "a", tokens=4), NOW))

    assert isinstance(first, Held)
    assert isinstance(second, Exceeded)
    assert figures(await store.standings(owner, LIMITS, NOW)) == [(0, 0), (4, 0)]
    assert await store.usage(owner, row().day, row().day) == []
    baselines = store.baselines()
    for count in (1, 2):
        figures_of_grant = await baselines.change(owner, GRANT, CHANGES, NOW)
        assert dict(figures_of_grant) == {"added": count, "raised": 1, "claimed": 1}
    assert await store.forget(owner) > 0
    assert dict(await baselines.read(owner, GRANT)) == {}
    await baselines.close()


async def test_in_a_cluster_every_call_finds_the_node_that_has_its_keys(
    nodes: list[ValkeyServer],
) -> None:
    first, second = nodes
    for place, node in enumerate(nodes):
        ends = str(place * SLOTS // 2), str((place + 1) * SLOTS // 2 - 1)
        node.ask("CLUSTER", "ADDSLOTSRANGE", *ends)
    bus = str(second.bus_port)
    first.ask("CLUSTER", "MEET", LOOPBACK, str(second.port), bus)
    await _until(lambda: all("cluster_state:ok" in n.ask("CLUSTER", "INFO") for n in nodes))
    address = RedisAddress(LOOPBACK, first.port)
    store = RedisLimitStore(
        RedisConnection((address,), RedisKind.CLUSTER, is_tls=False, timeout_seconds=20)
    )

    for number in range(8):
        await _use(store, OwnerName.parse(f"users/owner-{number}", "owner"))

    await store.close()
    assert all("\r\ncmdstat_evalsha:" in node.ask("INFO", "commandstats") for node in nodes)


async def test_behind_sentinels_the_store_follows_the_primary(
    pair: list[ValkeyServer], tmp_path: Path, owner: OwnerName
) -> None:
    primary, replica = pair
    replica.ask("REPLICAOF", LOOPBACK, str(primary.port))
    await _until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))
    file = tmp_path / "sentinel.conf"
    file.write_text(
        f"sentinel monitor {PRIMARY} {LOOPBACK} {primary.port} 1\n"
        f"sentinel down-after-milliseconds {PRIMARY} 1000\n"
    )
    sentinel = ValkeyServer.sentinel(tmp_path, file)
    sentinel.start()
    try:
        await _until(lambda: f"{replica.port}" in sentinel.ask("SENTINEL", "REPLICAS", PRIMARY))
        connection = RedisConnection(
            (RedisAddress(LOOPBACK, sentinel.port),),
            RedisKind.SENTINEL,
            PRIMARY,
            is_tls=False,
            timeout_seconds=20,
        )
        store = RedisLimitStore(connection)
        await _use(store, owner)

        primary.kill()
        await _until(lambda: "role:master" in replica.ask("INFO", "replication"))
        await _until(lambda: f"\r\n{replica.port}\r\n" in sentinel.ask("SENTINEL", "MASTERS"))
        await _until_it_answers(store)

        await _use(store, owner)
        await store.close()
    finally:
        sentinel.kill()
