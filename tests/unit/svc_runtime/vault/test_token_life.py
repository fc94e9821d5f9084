from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.login import VaultToken
from svc_runtime.vault.route import VaultRoute
from svc_runtime.vault.token_keeper import TokenKeeper
from tests.fakes.fake_clock import FakeClock

Keep = Callable[[int], Awaitable[TokenKeeper]]


class _Login:
    """A login that always succeeds, with a token that somebody else owns."""

    def __init__(self, ttl_seconds: int) -> None:
        self._ttl_seconds = ttl_seconds

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        del adapter
        return VaultToken(
            SecretBytes(b"s.token"), "", self._ttl_seconds, is_renewable=False, is_ours=False
        )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def keep(clock: FakeClock) -> AsyncIterator[Keep]:
    keepers = []
    async with aiohttp.ClientSession() as pool:
        route = VaultRoute(("https://127.0.0.1:1",))
        adapter = AsyncVaultAdapter(pool, route, namespace=None, timeout_seconds=1)

        async def started(ttl_seconds: int) -> TokenKeeper:
            keeper = TokenKeeper(adapter, _Login(ttl_seconds), clock)
            keepers.append(keeper)
            await keeper.start()
            return keeper

        yield started
        for keeper in keepers:
            await keeper.close()


async def test_the_life_of_a_token_runs_down_to_zero(clock: FakeClock, keep: Keep) -> None:
    keeper = await keep(900)
    clock.advance(300)
    left = keeper.ttl_seconds
    clock.advance(3600)

    assert (left, keeper.ttl_seconds) == (600, 0)


async def test_a_token_that_never_expires_has_no_end(keep: Keep) -> None:
    assert (await keep(0)).ttl_seconds is None


async def test_without_a_token_there_is_no_life_of_one(keep: Keep) -> None:
    keeper = await keep(900)
    await keeper.close()

    assert keeper.ttl_seconds is None
