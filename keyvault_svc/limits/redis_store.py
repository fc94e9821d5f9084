"""The store of limits in Redis or Valkey, for any number of replicas."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from keyvault_svc.domain.errors import LimitStoreUnavailableError
from keyvault_svc.domain.limit_store import (
    Exceeded,
    Held,
    KnownLease,
    Reservation,
    Settled,
    Taken,
    UsageRow,
)
from keyvault_svc.domain.limits import LimitRef, Standing
from keyvault_svc.domain.names import OwnerName
from keyvault_svc.limits.counters import Counter, OpenLease, to_us
from keyvault_svc.limits.redis_baselines import RedisBaselineStore
from keyvault_svc.limits.redis_calls import (
    RESERVE,
    SETTLE,
    Keys,
    ReserveCall,
    Script,
    SettleCall,
    usage_rows,
)
from keyvault_svc.limits.redis_connection import RedisConnection, close

_log = structlog.get_logger()
_T = TypeVar("_T")
_FAILURES: Final = (RedisError, RedisClusterException, OSError)
_RESERVED: Final = ("forget", "reserved")  # fields of a lease
_FORGOTTEN_AT_ONCE: Final = 500  # keys, each of up to 10,000 fields


class RedisLimitStore:
    """`LimitStore` in Redis 7 or Valkey 7.2, or newer.

    Reserving and settling are one script each, so that they happen in whole or not at all. The
    keys of a call are all of one owner, and therefore in one slot of a cluster.

    What the server forgets is spend forgotten: it must neither evict keys (`maxmemory-policy
    noeviction`) nor lose them in a crash (`appendonly yes`; `appendfsync always` to lose nothing in
    a power cut either).
    """

    def __init__(self, connection: RedisConnection) -> None:
        """Connect on demand, as *connection* says."""
        self._connection = connection
        self._client = connection.open()
        self._turns = asyncio.Semaphore(connection.max_connections)
        self._is_away = False

    async def reserve(self, reservation: Reservation, now: datetime) -> Held | Exceeded:
        """See `LimitStore.reserve`."""
        call = ReserveCall(reservation, OpenLease.of(reservation, now), now)
        return call.result(await self._run(self._eval, RESERVE, call.keys(), call.argument()))

    async def settle(self, taken: Taken, now: datetime) -> Settled | None:
        """See `LimitStore.settle`.

        1. Read what the lease reserved, unless `find` just did: it never changes. So all keys of
           the script are named.
        2. Settle, if it is still open.
        """
        attempt = secrets.token_hex(8)
        return await self._run(self._settle, taken, now, attempt)

    async def find(self, owner: OwnerName, lease_id: str) -> KnownLease | None:
        """See `LimitStore.find`."""
        key = Keys(owner).lease(lease_id)
        note, is_open, *reserved = await self._run(
            self._ask, "HMGET", key, "note", "open", *_RESERVED
        )
        if note is None:
            return None
        return KnownLease(note, is_settled=is_open is None, reserved=_joined(*reserved))

    async def standings(
        self, owner: OwnerName, limits: Sequence[LimitRef], now: datetime
    ) -> tuple[Standing, ...]:
        """See `LimitStore.standings`."""
        keys = Keys(owner)

        async def read(counter: Counter) -> Standing:
            key = keys.counter(counter)
            if counter.is_calls:
                calls = await self._run(self._ask, "ZCOUNT", key, f"({to_us(now)}", "+inf")
                return counter.standing(0, int(calls))
            stored = await self._run(self._ask, "HMGET", key, "used", "held")
            return counter.standing(*(int(amount or 0) for amount in stored))

        return tuple(await asyncio.gather(*(read(Counter.of(ref, now)) for ref in limits)))

    async def usage(self, owner: OwnerName, since: date, until: date) -> list[UsageRow]:
        """See `LimitStore.usage`."""
        keys = Keys(owner)
        first, last = since.toordinal(), until.toordinal()
        days = await self._run(self._ask, "ZRANGEBYSCORE", keys.days, first, last)
        rows: list[UsageRow] = []
        for day in days:
            stored = await self._run(self._ask, "HGETALL", keys.usage(day))
            rows += usage_rows(day, stored)
        return rows

    async def forget(self, owner: OwnerName, *, keeps_spent: bool = False) -> int:
        """See `LimitStore.forget`; it counts keys."""
        names = Keys(owner)
        total = kept = 0
        while keys := await self._run(
            self._ask, "ZRANGE", names.index, kept, kept + _FORGOTTEN_AT_ONCE - 1
        ):
            removed = [key for key in keys if not (keeps_spent and names.is_spent_by_owner(key))]
            kept += len(keys) - len(removed)
            if removed:
                total += int(await self._run(self._ask, "UNLINK", *removed))
                await self._run(self._ask, "ZREM", names.index, *removed)
        return total

    def baselines(self) -> RedisBaselineStore:
        """Return the baselines on the same server, over connections of their own."""
        return RedisBaselineStore(self._connection)

    async def ping(self) -> None:
        """See `LimitStore.ping`."""
        key = Keys.probe()
        await self._run(self._ask, "EXISTS", key)

    async def close(self) -> None:
        """See `LimitStore.close`."""
        await close(self._client)

    async def _settle(self, taken: Taken, now: datetime, attempt: str) -> Settled | None:
        reserved = taken.reserved
        if not reserved:
            lease = Keys(taken.owner).lease(taken.lease_id)
            reserved = _joined(*await self._ask("HMGET", lease, *_RESERVED))
        forget_us, _, encoded = reserved.partition(" ")
        if not encoded or int(forget_us) <= to_us(now):
            return None
        call = SettleCall(taken, OpenLease.decode(encoded), now, attempt)
        answer = await self._eval(SETTLE, call.keys(), call.argument())
        return None if answer is None else call.result(answer)

    async def _eval(self, script: Script, keys: list[str], argument: str) -> Any:  # noqa: ANN401 - as the script answers
        try:
            return await self._ask("EVALSHA", script.digest, len(keys), *keys, argument)
        except NoScriptError:  # the server is new, or was restarted
            return await self._ask("EVAL", script.text, len(keys), *keys, argument)

    async def _ask(self, *command: str | int) -> Any:  # noqa: ANN401 - as the command answers
        return await self._client.execute_command(*command)

    async def _run(self, operation: Callable[..., Awaitable[_T]], *arguments: object) -> _T:
        """Return what *operation* returns, which must do no more when it is repeated.

        Raises:
            LimitStoreUnavailableError: It failed, or was not done in time.
        """
        try:
            async with asyncio.timeout(self._connection.timeout_seconds), self._turns:
                try:
                    answer = await operation(*arguments)
                except _FAILURES as error:
                    await self._prepare_again(error)
                    answer = await operation(*arguments)
        except TimeoutError:
            cause = "timeout"
        except _FAILURES as error:
            cause = _word_of(error)
        else:
            self._note("")
            return answer
        self._note(cause)
        raise LimitStoreUnavailableError

    async def _prepare_again(self, error: Exception) -> None:
        """Leave a server that became a replica: its name may lead to another one by now."""
        if isinstance(error, ReadOnlyError) and isinstance(self._client, Redis):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    def _note(self, cause: str) -> None:
        """Log when the store goes away and when it is back, not each call."""
        if cause and not self._is_away:
            _log.warning("limit_store_away", cause=cause)
        elif not cause and self._is_away:
            _log.info("limit_store_back")
        self._is_away = bool(cause)


def _joined(forget_us: str | None, encoded: str | None) -> str:
    """Return the fields `_RESERVED` as one text; empty when one is missing."""
    return f"{forget_us} {encoded}" if forget_us and encoded else ""


def _word_of(error: Exception) -> str:
    """Return the server's word for *error*, such as `READONLY`, or its class: no more of its text.

    The text can hold addresses, and parts of what was sent.
    """
    word = str(error).partition(" ")[0]
    is_code = isinstance(error, ResponseError) and word.isascii() and word.isupper()
    return word if is_code else type(error).__name__
