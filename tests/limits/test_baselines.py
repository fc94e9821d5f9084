"""What both stores promise of baselines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from keyvault_svc.domain.anomalies.baseline_store import BaselineStore, Change, Operation
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import LimitStore
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_baselines import RedisBaselineStore
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import DAY, GRANT, NOW, reservation, taken
from tests.valkey_server import ValkeyServer

OTHER_GRANT = "fedcba9876543210"


def _add(word: str, value: int) -> Change:
    return Change(Operation.ADD, word, value)


def _raise(word: str, value: int) -> Change:
    return Change(Operation.RAISE, word, value)


def _claim(word: str, value: int) -> Change:
    return Change(Operation.CLAIM, word, value)


def _drop(word: str) -> Change:
    return Change(Operation.DROP, word)


@pytest.fixture
async def baselines(
    store: LimitStore, other: LimitStore
) -> AsyncIterator[tuple[BaselineStore, BaselineStore]]:
    """Two clients of one store; a file has one only."""
    assert isinstance(store, FileLimitStore | RedisLimitStore)
    assert isinstance(other, FileLimitStore | RedisLimitStore)
    first, second = store.baselines(), other.baselines()
    yield first, second
    await first.close()
    await second.close()


Both = tuple[BaselineStore, BaselineStore]


async def test_a_grant_without_a_baseline_has_no_figures(baselines: Both, owner: OwnerName) -> None:
    assert dict(await baselines[0].read(owner, GRANT)) == {}


async def test_additions_add_up_and_begin_at_nothing(baselines: Both, owner: OwnerName) -> None:
    changes = [_add("a", 2), _add("a", 3), _add("b", 1)]

    await baselines[0].change(owner, GRANT, changes, NOW)
    figures = await baselines[1].change(owner, GRANT, changes, NOW)

    assert dict(figures) == {"a": 10, "b": 2}
    assert dict(await baselines[0].read(owner, GRANT)) == {"a": 10, "b": 2}


async def test_a_figure_is_raised_and_never_lowered(baselines: Both, owner: OwnerName) -> None:
    seen = []
    for value in (5, 3, 7, 7):
        figures = await baselines[0].change(owner, GRANT, [_raise("a", value)], NOW)
        seen.append(figures["a"])

    assert seen == [5, 5, 7, 7]


async def test_the_first_claim_holds_until_it_is_dropped(baselines: Both, owner: OwnerName) -> None:
    first = await baselines[0].change(owner, GRANT, [_claim("a", 8)], NOW)
    second = await baselines[1].change(owner, GRANT, [_claim("a", 9)], NOW)
    third = await baselines[1].change(owner, GRANT, [_drop("a")], NOW)
    fourth = await baselines[1].change(owner, GRANT, [_claim("a", 9)], NOW)

    assert [dict(each) for each in (first, second, third, fourth)] == [
        {"a": 8},
        {"a": 8},
        {},
        {"a": 9},
    ]


async def test_one_of_many_claims_holds_and_no_addition_is_lost(
    baselines: Both, owner: OwnerName
) -> None:
    answers = await asyncio.gather(
        *(
            baselines[who % 2].change(owner, GRANT, [_add("n", 1), _claim("c", who)], NOW)
            for who in range(1, 41)
        )
    )

    (holder,) = {answer["c"] for answer in answers}
    assert 1 <= holder <= 40
    assert (await baselines[0].read(owner, GRANT))["n"] == 40


async def test_grants_and_owners_have_baselines_of_their_own(
    baselines: Both, owner: OwnerName
) -> None:
    team = OwnerName.parse(f"teams/{owner.owner_id}", "owner")
    for who, grant_id, value in ((owner, GRANT, 1), (owner, OTHER_GRANT, 2), (team, GRANT, 3)):
        await baselines[0].change(who, grant_id, [_add("a", value)], NOW)

    assert [
        dict(await baselines[0].read(who, grant_id))
        for who, grant_id in ((owner, GRANT), (owner, OTHER_GRANT), (team, GRANT))
    ] == [{"a": 1}, {"a": 2}, {"a": 3}]


async def test_words_and_large_figures_are_kept_as_they_are(
    baselines: Both, owner: OwnerName
) -> None:
    words = ["model:m\"{}é' *\n:x", "at:0", "m" * 200]
    changes = [_raise(word, 2**52) for word in words]

    figures = await baselines[0].change(owner, GRANT, changes, NOW)

    assert dict(figures) == dict.fromkeys(words, 2**52)


async def test_no_change_changes_nothing(baselines: Both, owner: OwnerName) -> None:
    await baselines[0].change(owner, GRANT, [_add("a", 1)], NOW)

    assert dict(await baselines[0].change(owner, GRANT, [], NOW)) == {"a": 1}


@pytest.mark.parametrize("keeps_spent", [False, True])
async def test_what_is_forgotten_of_an_owner_takes_the_baselines_along(
    store: LimitStore, baselines: Both, owner: OwnerName, *, keeps_spent: bool
) -> None:
    for grant_id in (GRANT, OTHER_GRANT):
        await baselines[0].change(owner, grant_id, [_add("a", 1)], NOW)

    assert await store.forget(owner, keeps_spent=keeps_spent) == 2

    assert dict(await baselines[0].read(owner, GRANT)) == {}
    assert dict(await baselines[0].read(owner, OTHER_GRANT)) == {}


async def test_in_redis_a_baseline_goes_400_days_after_its_last_change(
    valkey: ValkeyServer, owner: OwnerName
) -> None:
    store = RedisBaselineStore(valkey.connection())
    await store.change(owner, GRANT, [_add("a", 1)], NOW)
    await store.close()

    async with Redis(port=valkey.port, decode_responses=True, protocol=2) as client:
        left = {key: await client.ttl(key) async for key in client.scan_iter(f"*{owner.owner_id}*")}

    prefix = f"keyturn:{{{owner}}}:"
    assert left == {
        f"{prefix}baseline:{GRANT}": pytest.approx(400 * 86_400, abs=30),
        f"{prefix}index": pytest.approx(401 * 86_400, abs=30),
    }


async def test_in_a_file_a_figure_goes_400_days_after_its_last_change(
    tmp_path: Path, owner: OwnerName
) -> None:
    store = FileLimitStore(tmp_path / "limits.db", timeout_seconds=10)
    baselines = store.baselines()
    await baselines.change(owner, GRANT, [_add("old", 1), _add("used", 1)], NOW)
    await baselines.change(owner, GRANT, [_add("used", 1)], NOW + DAY)
    later = NOW + 400 * DAY
    for number in range(32):  # each 64th work removes what is over
        await store.reserve(reservation(owner, str(number)), later)
        await store.settle(taken(owner, str(number)), later)

    figures = dict(await baselines.read(owner, GRANT))
    await store.close()

    assert figures == {"used": 2}


async def test_a_server_that_is_away_is_told_in_time(owner: OwnerName, closed_port: int) -> None:
    address = RedisAddress("127.0.0.1", closed_port)
    store = RedisBaselineStore(RedisConnection((address,), is_tls=False, timeout_seconds=0.2))

    with pytest.raises(LimitStoreUnavailableError):
        await store.change(owner, GRANT, [_add("a", 1)], NOW)
    with pytest.raises(LimitStoreUnavailableError):
        await store.read(owner, GRANT)
    await store.close()


@pytest.fixture
async def closed_port() -> AsyncIterator[int]:
    """A port that is bound, and that nobody listens on."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, start_serving=False)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
