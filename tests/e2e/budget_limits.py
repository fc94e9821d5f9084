"""Limits that tests of budgets set, and how far the store says that they are used up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import operator_service_pb2 as operator_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from tests.e2e.asking import SERVED
from tests.e2e.budget_calls import apps, ask, stream
from tests.e2e.clients import Clients
from tests.e2e.operators import operate, operator
from tests.e2e.owners import OwnedKey, Owner, alice, give_key
from tests.e2e.stream_control import standin

AMPLE = 10**9
TOKENS = limits_pb.LIMIT_KIND_TOKENS_PER_DAY
USD = limits_pb.LIMIT_KIND_USD_PER_DAY
KINDS = {"tokens": TOKENS, "usd": USD}

_SECONDS = 60.0
_POLL_SECONDS = 0.05
_NEAR_MIDNIGHT = timedelta(seconds=90)


def limits_of(measure: str, limit: int) -> limits_pb.Limits:
    """Return a limit of a day, in tokens or in millionths of a USD."""
    if measure == "tokens":
        return limits_pb.Limits(tokens_per_day=limit)
    return limits_pb.Limits(usd_per_day=f"{Decimal(limit) / 1_000_000:f}")


async def reservation(clients: Clients, measure: str) -> int:
    """Return how much one call reserves: what is missing after the first."""
    key = await give_key(clients, "probe", limits=limits_of(measure, AMPLE))
    async with apps(clients) as found:
        answer = await ask(found[0], key.name)
    return AMPLE - answer.remaining[measure]


async def reservation_of_stream(clients: Clients) -> int:
    """Return how many tokens one stream reserves, as the store tells."""
    key = await give_key(clients, "probe-stream", limits=limits_of("tokens", AMPLE))
    async with standin(clients) as openai, apps(clients) as found:
        call = asyncio.create_task(stream(found[0], key.name))
        await openai.until(lambda counts: counts["open_requests"] == 1)
        held = (await standing(alice(clients), key.name, TOKENS)).held
        await openai.release(100)
        assert await call == SERVED
    return held


async def limit_key(clients: Clients, key: OwnedKey, limits: limits_pb.Limits) -> None:
    """Set the limits of a key, over all its grants."""
    request = keys_pb.UpdateKeyRequest(
        key=key_pb.Key(name=key.name, limits=limits), update_mask=FieldMask(paths=["limits"])
    )
    await alice(clients).call("UpdateKey", request)


async def limit_owner(clients: Clients, limits: limits_pb.Limits | None) -> None:
    """Set alice's limits, over all keys, as an operator; None for the deployment's."""
    request = operator_pb.SetOwnerLimitsRequest(
        owner_limits=operator_pb.OwnerLimits(owner="users/alice", limits=limits)
    )
    await operate(operator(clients), "SetOwnerLimits", request)


async def standing(
    person: Owner,
    key: str,
    kind: limits_pb.LimitKind.ValueType,
    *,
    scope: limits_pb.LimitScope.ValueType = limits_pb.LIMIT_SCOPE_GRANT,
) -> limits_pb.LimitStanding:
    """Return how far the one limit of *scope* and *kind* of a key is used up, by the store."""
    today = datetime.now(UTC).date().isoformat()
    request = usage_pb.GetUsageRequest(name=key, since_date=today, until_date=today)
    answer: usage_pb.GetUsageResponse = await person.call("GetUsage", request)
    [found] = [s for s in answer.standings if (s.scope, s.kind) == (scope, kind)]
    return found


async def settled(
    person: Owner,
    key: str,
    kind: limits_pb.LimitKind.ValueType,
    *,
    scope: limits_pb.LimitScope.ValueType = limits_pb.LIMIT_SCOPE_GRANT,
) -> limits_pb.LimitStanding:
    """Wait until nothing is held any more; see `standing`."""
    async with asyncio.timeout(_SECONDS):
        while True:
            found = await standing(person, key, kind, scope=scope)
            if not found.held:
                return found
            await asyncio.sleep(_POLL_SECONDS)


def minute() -> int:
    """Return the number of the clock's minute."""
    return int(datetime.now(UTC).timestamp() // 60)


async def same_day() -> None:
    """Return while the day has some time left: its end would give every budget back."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if midnight - now < _NEAR_MIDNIGHT:
        await asyncio.sleep((midnight - now).total_seconds() + 1)
