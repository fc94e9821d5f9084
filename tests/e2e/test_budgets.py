"""Budgets under load: never overspent, never refused what fits, whoever crashes meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from keyturn.keyvault.v1 import limits_pb2 as limits_pb
from keyturn_cli.local.layout import OTHER_APP
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.asking import SERVED
from tests.e2e.breaking import kill, until
from tests.e2e.budget_calls import (
    STREAM_TOKENS,
    Answer,
    apps,
    ask,
    burst,
    refusals,
    served,
    stream,
    until_served,
)
from tests.e2e.budget_limits import (
    AMPLE,
    KINDS,
    TOKENS,
    USD,
    limit_key,
    limit_owner,
    limits_of,
    minute,
    reservation,
    reservation_of_stream,
    same_day,
    settled,
    standing,
)
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import alice, give_key
from tests.e2e.stream_control import standin
from tests.valkey_server import ValkeyServer

CALLS = 200
FITTING = 10  # reservations that a budget holds at the same time
UNDER_WAY = 20  # streams that wait for each other
LIMIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """The store of limits of this module's stack."""
    with ValkeyServer(tmp_path_factory.mktemp("budget-valkey")) as server:
        yield server


@pytest.fixture(scope="module", name="clients")
def _clients(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    valkey: ValkeyServer,
) -> Iterator[Clients]:
    """Two gateways and two key services of the module's own, to be killed."""
    home = tmp_path_factory.mktemp("budgets") / "home"
    stack = LocalStack(home, Upstream(None, canary_key, "standin"), replicas=2)
    stack.variant = Variant(redis_address=valkey.address)
    with stack:
        yield Clients(stack, transcript)


@pytest.fixture(autouse=True)
async def _same_day() -> None:
    await same_day()


def _amount(answer: Answer, measure: str) -> int:
    return answer.tokens if measure == "tokens" else answer.micro_usd


@pytest.mark.parametrize("measure", KINDS)
async def test_many_calls_at_once_spend_a_budget_and_no_more(
    clients: Clients, measure: str
) -> None:
    each = await reservation(clients, measure)
    limit = FITTING * each
    key = await give_key(clients, "budget", limits=limits_of(measure, limit))
    owner, kind = alice(clients), KINDS[measure]

    async with apps(clients) as found:
        answers = await burst(found, [key.name], CALLS)
        after = await settled(owner, key.name, kind)

        assert refusals(answers) == {"BUDGET_SPENT"}
        assert len(served(answers)) >= FITTING
        assert len(upstream_requests(clients, key.api_key)) == len(served(answers))
        # Refused calls took nothing, and served ones what OpenAI says.
        spent = sum(_amount(answer, measure) for answer in answers)
        assert (after.used, after.limit) == (spent, limit)
        assert spent <= limit

        # What is left is served to the last call that fits.
        while limit - spent >= each:
            answer = await ask(found[0], key.name)
            assert answer.reason == SERVED
            spent += _amount(answer, measure)
            after = await settled(owner, key.name, kind)
            assert after.used == spent
        refused = await ask(found[1], key.name)

    assert refused.reason == "BUDGET_SPENT"

    assert (await settled(owner, key.name, kind)).used <= limit


async def test_many_calls_at_once_fill_a_rate_and_no_more(clients: Clients) -> None:
    rate = 30
    key = await give_key(clients, "rate", limits=limits_pb.Limits(requests_per_minute=rate))

    begin = minute()
    async with apps(clients) as found:
        answers = await burst(found, [key.name], CALLS)
    minutes = minute() - begin + 1

    assert refusals(answers) == {"RATE_LIMITED"}
    assert rate <= len(served(answers)) <= rate * minutes
    assert len(upstream_requests(clients, key.api_key)) == len(served(answers))


async def test_calls_under_way_are_never_more_than_may_be(clients: Clients) -> None:
    most = 7
    key = await give_key(clients, "concurrent", limits=limits_pb.Limits(concurrent_calls=most))
    for _ in range(2):  # as many again once the first have ended
        async with standin(clients) as openai, apps(clients) as found:
            calls = [asyncio.create_task(stream(app, key.name)) for app in found * (CALLS // 2)]
            ended = asyncio.as_completed(calls, timeout=LIMIT_SECONDS)
            refused = [await next(ended) for _ in range(CALLS - most)]
            counts = await openai.until(lambda counts: counts["open_requests"] >= most)
            await openai.release(CALLS)
            reasons = Counter(await asyncio.gather(*calls))
        after = await settled(alice(clients), key.name, limits_pb.LIMIT_KIND_CONCURRENT_CALLS)

        assert set(refused) == {"RATE_LIMITED"}
        assert counts["open_requests"] == most
        assert reasons == {SERVED: most, "RATE_LIMITED": CALLS - most}
        assert after.used == 0


async def test_a_keys_budget_binds_over_all_its_grants(clients: Clients) -> None:
    each = await reservation(clients, "tokens")
    limit, kind = FITTING * each, TOKENS
    key = await give_key(clients, "key-budget", limits=limits_of("tokens", AMPLE))
    await alice(clients).create_grant(key.name, OTHER_APP)
    await limit_key(clients, key, limits_of("tokens", limit))

    async with apps(clients) as demo, apps(clients, app="other") as other:
        answers = await burst([*demo, *other], [key.name], CALLS)
    after = await settled(alice(clients), key.name, kind, scope=limits_pb.LIMIT_SCOPE_KEY)

    assert refusals(answers) == {"BUDGET_SPENT"}
    assert len(served(answers)) >= FITTING
    assert after.used == sum(answer.tokens for answer in answers) <= limit


async def test_an_owners_budget_binds_over_all_their_keys(clients: Clients) -> None:
    each = await reservation(clients, "usd")
    kind, scope = USD, limits_pb.LIMIT_SCOPE_OWNER
    keys = [await give_key(clients, "owner-budget") for _ in range(3)]
    # The owner's account also holds what the tests before took.
    await limit_owner(clients, limits_of("usd", AMPLE))
    before = (await settled(alice(clients), keys[0].name, kind, scope=scope)).used
    await limit_owner(clients, limits_of("usd", before + FITTING * each))
    try:
        async with apps(clients) as found:
            answers = await burst(found, [key.name for key in keys], CALLS)
        after = await settled(alice(clients), keys[1].name, kind, scope=scope)
    finally:
        await limit_owner(clients, None)

    assert refusals(answers) == {"BUDGET_SPENT"}
    assert len(served(answers)) >= FITTING
    assert after.used - before == sum(answer.micro_usd for answer in answers) <= FITTING * each


async def test_receipts_tell_what_is_left_and_it_only_falls(clients: Clients) -> None:
    limits = limits_pb.Limits(
        requests_per_minute=AMPLE, tokens_per_day=AMPLE, usd_per_day=f"{AMPLE // 1_000_000}"
    )
    key = await give_key(clients, "receipts", limits=limits)
    told: list[dict[str, int]] = []
    begin = minute()
    async with apps(clients) as found:
        for turn in range(6):
            told.append((await ask(found[turn % 2], key.name)).remaining)
            await settled(alice(clients), key.name, TOKENS)
    within_one_minute = minute() == begin

    for measure in ("tokens", "usd", *(["requests"] if within_one_minute else [])):
        left = [remaining[measure] for remaining in told]
        assert left == sorted(set(left), reverse=True)
    if within_one_minute:
        assert [remaining["requests"] for remaining in told] == [AMPLE - n for n in range(1, 7)]


async def test_a_key_service_that_dies_under_calls_loses_nothing_that_they_took(
    clients: Clients,
) -> None:
    key = await give_key(clients, "survived", limits=limits_of("tokens", AMPLE))
    kind = TOKENS
    async with standin(clients) as openai, apps(clients) as found:
        calls = [asyncio.create_task(stream(app, key.name)) for app in found * (UNDER_WAY // 2)]
        await openai.until(lambda counts: counts["open_requests"] == UNDER_WAY)
        kill(clients, "keyvault-svc-2")
        await openai.release(UNDER_WAY * 100)
        reasons = await asyncio.gather(*calls)
    after = await settled(alice(clients), key.name, kind)
    await _start(clients, "keyvault-svc-2")

    assert set(reasons) == {SERVED}
    assert after.used == UNDER_WAY * STREAM_TOKENS


async def test_a_gateway_that_dies_under_calls_loses_their_reservations_and_no_more(
    clients: Clients,
) -> None:
    each = await reservation_of_stream(clients)
    limit, kind = (UNDER_WAY + FITTING) * each, TOKENS
    key = await give_key(clients, "lost", limits=limits_of("tokens", limit))
    async with standin(clients) as openai, apps(clients) as (first, second):
        calls = [asyncio.create_task(stream(second, key.name)) for _ in range(UNDER_WAY)]
        await openai.until(lambda counts: counts["open_requests"] == UNDER_WAY)
        kill(clients, "gateway-svc-2")
        await asyncio.gather(*calls)
        answers = await burst([first], [key.name], CALLS)
        after = await until(
            partial(standing, alice(clients), key.name, kind),
            lambda found: found.held == UNDER_WAY * each,
        )
    await _start(clients, "gateway-svc-2")

    assert refusals(answers) == {"BUDGET_SPENT"}
    assert served(answers)
    assert after.used == sum(answer.tokens for answer in answers)
    assert after.used + after.held <= limit


async def test_without_the_store_limited_grants_wait_and_unlimited_ones_go_on(
    clients: Clients, valkey: ValkeyServer
) -> None:
    limited = await give_key(clients, "limited", limits=limits_of("tokens", AMPLE))
    unlimited = await give_key(clients, "unlimited")
    kind = TOKENS
    async with apps(clients) as found:
        taken = await ask(found[0], limited.name)
        before = await settled(alice(clients), limited.name, kind)

        valkey.kill()
        refused = await burst(found, [limited.name], 4)
        passed = await burst(found, [unlimited.name], 4)
        valkey.start()
        await until_served(found, limited.name)
        after = await settled(alice(clients), limited.name, kind)

    assert {answer.reason for answer in refused} == {"LIMIT_STORE_UNAVAILABLE"}
    assert {answer.reason for answer in passed} == {SERVED}
    assert before.used == taken.tokens
    assert after.used >= before.used + 2 * taken.tokens


async def _start(clients: Clients, service: str) -> None:
    """Start *service* again, and wait until apps are served everywhere."""
    clients.stack.services[service].start()
    async with apps(clients) as found:
        await until_served(found, clients.stack.key_name)
