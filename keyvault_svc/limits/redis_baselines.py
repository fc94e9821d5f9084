"""Baselines in Redis or Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, RedisClusterException, RedisError

from keyvault_svc.domain.anomalies.baseline_store import KEEP_BASELINE, Change, Operation
from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import to_us
from keyvault_svc.limits.redis_calls import Keys
from keyvault_svc.limits.redis_connection import RedisConnection, close

_FAILURES: Final = (RedisError, RedisClusterException, OSError)
_CONNECTIONS: Final = 4


class RedisBaselineStore:
    """`BaselineStore` in one sorted set for each grant: words, and their figures as scores.

    It has connections of its own, so that no lease waits for one. Nothing is repeated: an addition
    whose answer was lost would count twice. Scores are doubles, and exact up to 2^53.
    """

    def __init__(self, connection: RedisConnection) -> None:
        """Connect on demand, as *connection* says."""
        self._timeout_seconds = connection.timeout_seconds
        self._client = replace(connection, max_connections=_CONNECTIONS).open()
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    async def read(self, owner: OwnerName, grant_id: str) -> Mapping[str, int]:
        """See `BaselineStore.read`."""
        return await self._run(owner, grant_id, (), None)

    async def change(
        self, owner: OwnerName, grant_id: str, changes: Sequence[Change], now: datetime
    ) -> Mapping[str, int]:
        """See `BaselineStore.change`."""
        return await self._run(owner, grant_id, changes, now)

    async def close(self) -> None:
        """See `BaselineStore.close`."""
        await close(self._client)

    async def _run(
        self, owner: OwnerName, grant_id: str, changes: Sequence[Change], now: datetime | None
    ) -> Mapping[str, int]:
        """Make *changes*, and read.

        Raises:
            LimitStoreUnavailableError: It failed, or was not done in time.
        """
        keys = Keys(owner)
        key = keys.baseline(grant_id)
        try:
            async with self._turns, asyncio.timeout(self._timeout_seconds):
                # All commands in one journey; not one transaction, which they do not need.
                journey = self._client.pipeline(transaction=False)
                if changes and now is not None:
                    # The index first: `LimitStore.forget` finds what it names.
                    forget_us = to_us(now + KEEP_BASELINE)
                    journey.execute_command("ZADD", keys.index, "GT", forget_us, key)
                    journey.execute_command("EXPIRE", keys.index, _INDEX_SECONDS)
                    for command in _commands(key, changes):
                        journey.execute_command(*command)
                    keep_seconds = int(KEEP_BASELINE.total_seconds())
                    journey.execute_command("EXPIRE", key, keep_seconds)
                journey.execute_command("ZRANGE", key, 0, -1, "WITHSCORES")
                *_, figures = await journey.execute()
                return _figures(figures)
        except TimeoutError:
            pass
        except _FAILURES as error:
            await self._leave_replica(error)
        raise LimitStoreUnavailableError

    async def _leave_replica(self, error: Exception) -> None:
        """Leave a server that became a replica: its name may lead to another one by now."""
        if isinstance(error, ReadOnlyError) and isinstance(self._client, Redis):
            await self._client.connection_pool.disconnect(inuse_connections=False)


_INDEX_SECONDS: Final = 401 * 86_400  # as the scripts keep it: longer than all that it names


def _commands(key: str, changes: Sequence[Change]) -> list[tuple[str | int, ...]]:
    """Return the commands of *changes*, each atomic: as few as there can be."""

    def of(operation: Operation) -> list[Change]:
        return [change for change in changes if change.operation is operation]

    def scored(operation: Operation) -> list[str | int]:
        return [part for change in of(operation) for part in (change.value, change.word)]

    commands: list[tuple[str | int, ...]] = []
    if dropped := [change.word for change in of(Operation.DROP)]:
        commands.append(("ZREM", key, *dropped))
    commands += [("ZINCRBY", key, added.value, added.word) for added in of(Operation.ADD)]
    if raised := scored(Operation.RAISE):
        commands.append(("ZADD", key, "GT", *raised))
    if claimed := scored(Operation.CLAIM):
        commands.append(("ZADD", key, "NX", *claimed))
    return commands


def _figures(answer: Sequence[Any]) -> Mapping[str, int]:
    """Return the figures in what ZRANGE answers: a word, its score, the next word."""
    return {word: int(float(score)) for word, score in zip(*[iter(answer)] * 2, strict=True)}
