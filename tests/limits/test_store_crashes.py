"""What stores keep when they, or those who use them, are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyvault_svc.domain.limit_store import KnownLease, Settled
from keyvault_svc.domain.limits import LimitKind
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import NOW, figures, held, limit, reservation, taken
from tests.limits.store_client import RESERVED, TAKEN, TOKENS, open_store
from tests.limits.store_process import lines_of, store_client
from tests.valkey_server import ValkeyServer

CALLS = limit(LimitKind.CONCURRENT_CALLS, 1)
LINES = 101


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that the test may kill."""
    server = ValkeyServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def test_a_killed_valkey_has_kept_what_was_reserved_and_settled(
    own_valkey: ValkeyServer, owner: OwnerName
) -> None:
    store = RedisLimitStore(own_valkey.connection())
    await store.reserve(reservation(owner, "a", TOKENS, tokens=10), NOW)
    await store.settle(taken(owner, "a", tokens=4), NOW)
    await store.reserve(reservation(owner, "b", TOKENS, CALLS, tokens=10), NOW)

    own_valkey.kill()
    own_valkey.start()

    assert figures(await store.standings(owner, [TOKENS, CALLS], NOW)) == [(4, 10), (0, 1)]
    assert await store.settle(taken(owner, "a", tokens=4), NOW) is None
    assert await store.settle(taken(owner, "b", tokens=6), NOW) == Settled()
    assert figures(await store.standings(owner, [TOKENS, CALLS], NOW)) == [(10, 0), (0, 0)]
    await store.close()


@pytest.mark.parametrize("kind", ["file", "valkey"])
async def test_a_killed_replica_loses_at_most_its_last_reservation(
    kind: str, tmp_path: Path, owner: OwnerName, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path / "limits.db")
    if kind == "valkey":
        place = str(request.getfixturevalue("valkey").port)
    with store_client("load", place, str(owner)) as replica:
        told = lines_of(replica, LINES)
        replica.kill()
        assert replica.stdout is not None
        told += replica.stdout.read().split()
    reserved, settled = told.count("held"), told.count("settled")

    store = open_store(place)
    ((used, still_held),) = figures(await store.standings(owner, [TOKENS], NOW))

    # The step after the last that was told may have been done, too.
    steps = [(settled * TAKEN, (reserved - settled) * RESERVED)]
    steps.append(((settled + 1) * TAKEN, 0) if reserved > settled else (steps[0][0], RESERVED))
    assert settled > 0
    assert (used, still_held) in steps
    again = await store.reserve(reservation(owner, "next", TOKENS, tokens=RESERVED), NOW)
    assert figures(held(again)) == [(used, still_held + RESERVED)]
    await store.close()


async def test_a_file_is_as_it_was_after_a_close(tmp_path: Path, owner: OwnerName) -> None:
    store = FileLimitStore(tmp_path / "limits.db")
    await store.reserve(reservation(owner, "a", TOKENS, tokens=10, note="n"), NOW)
    await store.close()

    store = FileLimitStore(tmp_path / "limits.db")

    assert figures(await store.standings(owner, [TOKENS], NOW)) == [(0, 10)]
    assert await store.find(owner, "a") == KnownLease("n", is_settled=False)
    await store.close()
