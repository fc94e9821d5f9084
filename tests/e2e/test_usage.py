"""What apps used is told to those who may know, by every replica, with what limits leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn.keyvault.v1 import usage_service_pb2 as usage_pb
from keyturn_cli.local.layout import DEMO_APP
from svc_runtime.error_details import reason_of
from tests.e2e.asking import SERVED, ask, ask_often, ask_over_http
from tests.e2e.clients import DEADLINE_SECONDS, Clients
from tests.e2e.operators import auditor, operator
from tests.e2e.owners import OwnedKey, Owner, alice, give_key, sign_in, unused_name
from tests.e2e.stack_process import Outcome, keyturn

MODEL = "gpt-4o-mini"
LIMITS = limits_pb.Limits(concurrent_calls=5, tokens_per_month=1_000_000, usd_per_month="50")

_POLL_SECONDS = 0.05


async def _usage(person: Owner, name: str) -> usage_pb.GetUsageResponse:
    # Both days of a midnight that passes during the test.
    today = datetime.now(UTC).date()
    request = usage_pb.GetUsageRequest(
        name=name,
        since_date=(today - timedelta(days=1)).isoformat(),
        until_date=today.isoformat(),
    )
    answer: usage_pb.GetUsageResponse = await person.call("GetUsage", request)
    return answer


async def _settled(person: Owner, name: str, requests: int) -> usage_pb.GetUsageResponse:
    """Return the usage once *requests* of them are counted, and none is held any more."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            usage = await _usage(person, name)
            held = [standing for standing in usage.standings if standing.held]
            if sum(row.request_count for row in usage.rows) >= requests and not held:
                return usage
            await asyncio.sleep(_POLL_SECONDS)


async def _limit(clients: Clients, key: OwnedKey, limits: limits_pb.Limits) -> None:
    request = keys_pb.UpdateKeyRequest(
        key=key_pb.Key(name=key.name, limits=limits), update_mask=FieldMask(paths=["limits"])
    )
    await alice(clients).call("UpdateKey", request)


async def test_what_an_app_used_is_told_alike_by_every_replica(clients: Clients) -> None:
    key = await give_key(clients, "usage")
    (grant,) = await alice(clients).list_grants(key.name)
    assert await ask_often(clients, key.name, 2) == [SERVED] * 2
    assert await ask_over_http(clients, key.name, replica=2) == SERVED

    usage = await _settled(alice(clients), key.name, 3)

    assert {(row.key, row.grant, row.app, row.member) for row in usage.rows} == {
        (key.name, grant.name, DEMO_APP, "")
    }
    assert all(row.model.startswith(MODEL) for row in usage.rows)
    assert sum(row.request_count for row in usage.rows) == 3
    assert sum(row.input_tokens for row in usage.rows) == 3  # each asked with one word
    assert sum(row.output_tokens for row in usage.rows) > 0
    assert sum(row.cost_micro_usd for row in usage.rows) > 0
    assert sum(row.unpriced_request_count for row in usage.rows) == 0
    assert (await _usage(alice(clients, replica=2), key.name)).rows == usage.rows


async def test_an_owners_usage_holds_that_of_each_key(clients: Clients) -> None:
    key = await give_key(clients, "usage-of-owner")
    assert await ask(clients, key.name) == SERVED
    of_key = await _settled(alice(clients), key.name, 1)

    of_owner = await _usage(alice(clients), "users/alice")

    assert [row for row in of_owner.rows if row.key == key.name] == list(of_key.rows)


async def test_refused_requests_are_not_counted(clients: Clients) -> None:
    key = await give_key(clients, "usage-refused")
    assert await ask(clients, key.name, app="other") == "NOT_GRANTED"
    assert await ask(clients, key.name) == SERVED

    usage = await _settled(alice(clients), key.name, 1)

    assert [(row.app, row.request_count) for row in usage.rows] == [(DEMO_APP, 1)]


async def test_what_limits_leave_is_what_was_not_used(clients: Clients) -> None:
    key = await give_key(clients, "usage-limits", limits=LIMITS)
    await _limit(clients, key, LIMITS)
    (grant,) = await alice(clients).list_grants(key.name)
    assert await ask_often(clients, key.name, 2) == [SERVED] * 2

    usage = await _settled(alice(clients), key.name, 2)

    tokens = sum(row.input_tokens + row.output_tokens for row in usage.rows)
    cost = sum(row.cost_micro_usd for row in usage.rows)
    told = {(s.subject, s.kind): (s.limit, s.used, s.held, s.remaining) for s in usage.standings}
    for subject in (key.name, grant.name):
        assert told[subject, limits_pb.LIMIT_KIND_CONCURRENT_CALLS] == (5, 0, 0, 5)
        assert told[subject, limits_pb.LIMIT_KIND_TOKENS_PER_MONTH] == (
            *(1_000_000, tokens, 0, 1_000_000 - tokens),
        )
        assert told[subject, limits_pb.LIMIT_KIND_USD_PER_MONTH] == (
            *(50_000_000, cost, 0, 50_000_000 - cost),
        )


async def test_a_limit_of_a_key_holds_from_the_next_request_and_so_does_its_end(
    clients: Clients,
) -> None:
    key = await give_key(clients, "usage-limited")
    assert await ask(clients, key.name) == SERVED

    await _limit(clients, key, limits_pb.Limits(tokens_per_month=1))
    assert await ask(clients, key.name) == "BUDGET_SPENT"
    await _limit(clients, key, limits_pb.Limits())

    assert await ask(clients, key.name) == SERVED
    usage = await _settled(alice(clients), key.name, 2)
    assert sum(row.request_count for row in usage.rows) == 2
    assert [s for s in usage.standings if s.subject == key.name] == []


@pytest.mark.parametrize("who", [auditor, operator])
async def test_auditors_and_operators_may_look_at_every_owner(
    clients: Clients, who: Callable[[Clients], Owner]
) -> None:
    key = await give_key(clients, "usage-seen")
    assert await ask(clients, key.name) == SERVED

    usage = await _settled(who(clients), key.name, 1)

    assert sum(row.request_count for row in usage.rows) == 1


async def test_nobody_else_learns_what_is_used_nor_whether_there_is_a_key(
    clients: Clients,
) -> None:
    key = await give_key(clients, "usage-hidden")
    mallory = sign_in(clients, "mallory")
    heard = set()
    for name in ("users/alice", key.name, unused_name("missing")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _usage(mallory, name)
        heard.add((caught.value.code(), reason_of(caught.value)))

    assert heard == {(grpc.StatusCode.PERMISSION_DENIED, "NOT_THE_OWNER")}


def test_the_command_tells_what_was_used_and_what_is_left(clients: Clients) -> None:
    key = asyncio.run(give_key(clients, "usage-command"))

    def run(*arguments: str) -> Outcome:
        outcome = keyturn(*arguments, env_file=clients.stack.layout.client_env)
        clients.keep(outcome)
        return outcome

    changed = run("keys", "set", key.name, "--usd-per-month", "50", "--concurrent-calls", "9")
    assert changed.exit_code == 0
    assert asyncio.run(ask(clients, key.name)) == SERVED
    asyncio.run(_settled(alice(clients), key.name, 1))

    as_json = run("usage", key.name, "--days", "2", "--by", "app", "--json")
    as_table = run("usage", key.name, "--days", "2", "--by", "model")

    document: dict[str, Any] = json.loads(as_json.stdout)
    assert [(group["group"], group["request_count"]) for group in document["usage"]] == [
        (DEMO_APP, 1)
    ]
    assert document["total"]["cost_micro_usd"] > 0
    limits = {entry["kind"]: entry for entry in document["limits"] if entry["scope"] == "key"}
    assert limits["usd_per_month"]["used"] == document["total"]["cost_micro_usd"]
    assert limits["concurrent_calls"]["remaining"] == 9
    assert MODEL in as_table.stdout
    assert "USD per month" in as_table.stdout
