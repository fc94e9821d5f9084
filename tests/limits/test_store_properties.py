"""Whatever two clients do in whatever order: stores refuse what does not fit, and only that."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyvault_svc.domain.limit_store import Exceeded, Held, LimitStore, Taken
from keyvault_svc.domain.limits import Amounts, LimitKind, LimitRef, LimitScope
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.limits.limit_samples import HOUR, limit, reservation
from tests.limits.plain_model import PlainModel
from tests.limits.store_client import RACE, RACERS, reserve_at_once
from tests.limits.store_process import lines_of, store_client
from tests.valkey_server import ValkeyServer

START = datetime(2026, 2, 28, 23, 58, 30, tzinfo=UTC)  # a minute, a day and a month end soon
LIMITS = (
    limit(LimitKind.CONCURRENT_CALLS, 3),
    limit(LimitKind.REQUESTS_PER_MINUTE, 4),
    limit(LimitKind.TOKENS_PER_MINUTE, 100),
    limit(LimitKind.TOKENS_PER_DAY, 300, LimitScope.KEY),
    limit(LimitKind.USD_PER_MONTH, 1000, LimitScope.OWNER, ""),
)


@dataclass(frozen=True)
class Reserve:
    client: int
    tokens: int
    micro_usd: int
    seconds: int


@dataclass(frozen=True)
class Settle:
    client: int
    lease: int
    share: int | None  # percent of each amount; None to keep what was reserved


@dataclass(frozen=True)
class Wait:
    seconds: int


CLIENTS = st.integers(0, 1)
STEPS = st.lists(
    st.one_of(
        st.builds(
            Reserve,
            CLIENTS,
            st.sampled_from([0, 1, 20, 50, 100]),
            st.sampled_from([0, 7, 300, 1000]),
            st.sampled_from([1, 30, 600, 7200]),
        ),
        st.builds(Settle, CLIENTS, st.integers(0, 12), st.sampled_from([None, 0, 1, 50, 99, 100])),
        st.builds(Wait, st.sampled_from([1, 29, 30, 3599, 3600, 86_400])),
    ),
    max_size=25,
)


class Scenario:
    """One owner's life in a store and in the model."""

    def __init__(self, clients: Sequence[LimitStore]) -> None:
        self._clients = clients
        self._owner = OwnerName(OwnerKind.USER, secrets.token_hex(8))
        self._model = PlainModel(LIMITS)
        self._now = START
        self._leases = 0

    async def run(self, steps: list[Reserve | Settle | Wait]) -> None:
        for number, step in enumerate(steps):
            match step:
                case Wait():
                    self._now += timedelta(seconds=step.seconds)
                case Reserve():
                    await self._reserve(step)
                case Settle():
                    await self._settle(step)
            client = self._clients[number % 2]
            standings = await client.standings(self._owner, LIMITS, self._now)
            assert standings == self._model.standings(self._now)
            assert all(each.used + each.held <= each.limit.limit for each in standings)
            for lease_id in self._model.leases:
                if not self._model.is_forgotten(lease_id, self._now):
                    known = await client.find(self._owner, lease_id)
                    assert known == self._model.find(lease_id)

    async def _reserve(self, step: Reserve) -> None:
        lease_id = str(self._leases)
        asked = reservation(
            self._owner,
            lease_id,
            *LIMITS,
            tokens=step.tokens,
            micro_usd=step.micro_usd,
            end_time=self._now + timedelta(seconds=step.seconds),
            note=lease_id,
        )
        result = await self._clients[step.client].reserve(asked, self._now)
        full = self._model.reserve(lease_id, asked.amounts, asked.end_time, self._now)
        if isinstance(result, Held):
            assert full is None
            assert result.standings == self._model.standings(self._now)
            self._leases += 1
        else:
            assert result.standing.limit == full

    async def _settle(self, step: Settle) -> None:
        lease_id = str(step.lease)
        lease = self._model.leases.get(lease_id)
        reserved = lease.reserved if lease else Amounts()
        taken = (
            step.share
            if step.share is None
            else Amounts(
                min(step.share, 1),
                reserved.tokens * step.share // 100,
                reserved.micro_usd * step.share // 100,
            )
        )
        result = await self._clients[step.client].settle(
            Taken(lease_id, self._owner, taken), self._now
        )
        assert (result is not None) == self._model.settle(lease_id, taken, self._now)


def _check(runner: asyncio.Runner, clients: Sequence[LimitStore]) -> None:
    @settings(
        max_examples=300,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(STEPS)
    def keeps_to_the_model(steps: list[Reserve | Settle | Wait]) -> None:
        runner.run(Scenario(clients).run(steps))

    keeps_to_the_model()


def test_a_file_keeps_to_the_model_whatever_two_callers_do() -> None:
    with asyncio.Runner() as runner:
        store = FileLimitStore(None, timeout_seconds=30)
        try:
            _check(runner, [store, store])
        finally:
            runner.run(store.close())


def test_valkey_keeps_to_the_model_whatever_two_replicas_do(valkey: ValkeyServer) -> None:
    with asyncio.Runner() as runner:
        stores = [RedisLimitStore(valkey.connection(30)) for _ in range(2)]
        try:
            _check(runner, stores)
        finally:
            for store in stores:
                runner.run(store.close())


@pytest.mark.parametrize(
    ("ref", "fitting"),
    [(RACE[0], 150), (RACE[1], 140), (RACE[2], 130)],
    ids=["calls", "requests", "tokens"],
)
async def test_of_200_at_once_exactly_as_many_are_held_as_fit(
    stores: tuple[LimitStore, LimitStore], owner: OwnerName, ref: LimitRef, fitting: int
) -> None:
    first, second = await asyncio.gather(
        reserve_at_once(stores[0], owner, "a", (ref,)),
        reserve_at_once(stores[1], owner, "b", (ref,)),
    )

    assert first + second == fitting


def test_of_200_at_once_of_two_processes_exactly_as_many_are_held_as_fit(
    valkey: ValkeyServer, owner: OwnerName
) -> None:
    arguments = ("race", str(valkey.port), str(owner))
    with store_client(*arguments, "a") as one, store_client(*arguments, "b") as two:
        assert lines_of(one, 1) + lines_of(two, 1) == ["ready", "ready"]
        for replica in (one, two):
            assert replica.stdin is not None
            replica.stdin.write("go\n")
            replica.stdin.flush()
        held = [int(line) for line in lines_of(one, 1) + lines_of(two, 1)]

    assert sum(held) == 130
    assert max(held) <= RACERS


async def test_200_at_once_with_settlements_between_them_never_exceed_and_end_exact(
    stores: tuple[LimitStore, LimitStore], owner: OwnerName
) -> None:
    budget = limit(LimitKind.TOKENS_PER_DAY, 1000)

    async def request(number: int) -> int:
        store = stores[number % 2]
        asked = reservation(owner, str(number), budget, tokens=100, end_time=START + HOUR)
        result = await store.reserve(asked, START)
        if isinstance(result, Exceeded):
            assert result.standing.used + result.standing.held > 900
            return 0
        assert result.standings[0].used + result.standings[0].held <= 1000
        taken = Taken(asked.lease_id, owner, Amounts(tokens=number % 100))
        assert await store.settle(taken, START) is not None
        return number % 100

    used = sum(await asyncio.gather(*(request(number) for number in range(200))))

    (standing,) = await stores[1].standings(owner, [budget], START)
    assert (standing.used, standing.held) == (used, 0)
    assert 0 < used <= 1000
