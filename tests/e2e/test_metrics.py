"""Metrics of both services after real calls: what is there, what counts, and what never shows."""

from __future__ import annotations

import asyncio
import re

import pytest

from gateway_svc.domain.http_request import METHODS
from gateway_svc.known_models import KNOWN_MODELS
from gateway_svc.rpc.access_policy import APP_PORT
from keyturn_cli.local.layout import DEMO_APP
from keyvault_svc.price_file import load_prices
from keyvault_svc.rpc.access_policy import GATEWAY_PORT, OWNER_PORT
from svc_runtime.access_policy import with_reflection
from svc_runtime.telemetry.metrics import OTHER, MetricKind
from tests.architecture.label_words import REASONS, SECURITY_EVENT_NAMES
from tests.architecture.measured import (
    BOTH,
    GATEWAY,
    KEY_SERVICE,
    descriptions,
    prometheus_name,
    series,
)
from tests.e2e.asking import QUESTION, SERVED, ask, ask_over_http
from tests.e2e.breaking import until
from tests.e2e.clients import Clients, new_request_id
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.scraping import REPLICAS, Service, exposed, scrape, total
from tests.fakes.figures import samples

SERVICES: tuple[Service, ...] = ("gateway", "keyvault")
RPC = "rpc_server_call_duration_seconds_count"
HTTP = "http_server_request_duration_seconds_count"
CALLS_OF_OPENAI = "gen_ai_client_operation_duration_seconds_count"
VAULT = "keyturn_vault_request_duration_seconds_count"
REFUSALS = "keyturn_refusals_total"
SETTLED = "keyturn_leases_settled_total"
STREAMS = "keyturn_streams_open"
ACQUIRE = "/keyturn.keyvault.v1.KeyLeaseService/AcquireLease"
CHAT = "/v1/chat/completions"
REALTIME = "/v1/realtime?model=gpt-realtime"
MADE_UP = "gpt-4o-of-the-payments-team"

_POLICIES = (APP_PORT, GATEWAY_PORT, OWNER_PORT)
# What stands behind a label, apart from the labels' own code.
CLOSED: dict[str, frozenset[str]] = {
    "rpc_method": frozenset(method for policy in _POLICIES for method in with_reflection(policy)),
    "reason": frozenset(REASONS),
    "http_request_method": frozenset(METHODS),
    "event": frozenset(SECURITY_EVENT_NAMES),
    "channel": frozenset({"mail", "webhooks"}),
    "service_name": frozenset({"gateway-svc", "keyvault-svc"}),
    "gen_ai_request_model": KNOWN_MODELS | frozenset(load_prices(None).models),
}
PATTERNS = {
    "le": r"[0-9.]+|\+Inf",
    "rpc_response_status_code": r"[A-Z_]+",
    "http_response_status_code": r"[1-5]\d\d",
    "http_route": r"/v1/[a-z_/]+(\*)?",
    "error_type": r"[45]\d\d|upstream_failed|cancelled",
    "gen_ai_operation_name": r"[a-z_]+",
    "gen_ai_provider_name": r"openai",
    "gen_ai_token_type": r"input|output",
    "operation": r"(kv|transit|auth|token|wrapping)\.[a-z_]+|[a-z]+",
    "outcome": r"[a-z_]+",
    "kind": r"[a-z_]+",
}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "metrics"))


@pytest.fixture(scope="module")
def request_ids(clients: Clients, key: OwnedKey) -> list[str]:
    """Make calls of every sort, some of them refused; return their ids."""
    ids = [new_request_id() for _ in range(5)]
    asyncio.run(_call_in_every_way(clients, key, ids))
    return ids


async def _call_in_every_way(clients: Clients, key: OwnedKey, ids: list[str]) -> None:
    for replica in REPLICAS:
        assert await ask(clients, key.name, replica=replica, request_id=ids[0]) == SERVED
        assert await ask_over_http(clients, key.name, replica=replica, request_id=ids[1]) == SERVED
    assert await ask(clients, key.name, app="other", request_id=ids[2]) == "NOT_GRANTED"
    async with clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http:
        named = {"x-keyturn-key": key.name}
        for number, more in ((3, {"stream": True}), (4, {"model": MADE_UP})):
            headers = {**named, "x-keyturn-request-id": ids[number]}
            async with http.post(CHAT, json={**QUESTION, **more}, headers=headers) as answer:
                clients.keep(await answer.read())
        async with http.ws_connect(REALTIME, headers=named) as socket:
            clients.keep(await socket.receive_json())
        async with http.request("BREW", "/v1/teapots/alice") as answer:
            clients.keep(await answer.read())
    async with clients.http() as http, http.post(CHAT, json=QUESTION) as answer:
        clients.keep(await answer.read())
        assert answer.status == 401


@pytest.mark.usefixtures("request_ids")
@pytest.mark.parametrize("service", SERVICES)
async def test_every_series_is_a_documented_one_with_its_labels(
    clients: Clients, service: Service
) -> None:
    known = {**series(), "target_info": frozenset({"service_name"})}

    figures = await scrape(clients, service)

    assert {name for name, _ in figures} <= known.keys()
    for name, labels in figures:
        assert {label for label, _ in labels} <= known[name], name


@pytest.mark.usefixtures("request_ids")
@pytest.mark.parametrize(("service", "own"), [("gateway", GATEWAY), ("keyvault", KEY_SERVICE)])
async def test_every_metric_of_a_service_is_there(
    clients: Clients, service: Service, own: str
) -> None:
    wanted = {
        prometheus_name(metric) + ("_count" if metric.kind is MetricKind.HISTOGRAM else "")
        for services, metric in descriptions()
        if services in {BOTH, own}
    }
    if service == "keyvault":
        wanted.discard("keyturn_notifications_waiting")  # the stack's has no channel

    figures = await scrape(clients, service)

    assert wanted <= {name for name, _ in figures}


@pytest.mark.usefixtures("request_ids")
@pytest.mark.parametrize("service", SERVICES)
async def test_labels_have_values_of_closed_sets_only(clients: Clients, service: Service) -> None:
    figures = await scrape(clients, service)

    strange = {
        (label, value)
        for _, labels in figures
        for label, value in labels
        if not _is_of_a_closed_set(label, value)
    }
    assert strange == set()


def _is_of_a_closed_set(label: str, value: str) -> bool:
    if label in CLOSED:
        return value in CLOSED[label] or value == OTHER
    return re.fullmatch(PATTERNS[label], value) is not None or value == OTHER


@pytest.mark.parametrize("replica", REPLICAS)
@pytest.mark.parametrize("service", SERVICES)
async def test_no_name_of_anybody_and_of_no_request_shows(
    clients: Clients, key: OwnedKey, request_ids: list[str], service: Service, replica: int
) -> None:
    names = [
        key.name,
        "alice",
        "spiffe://",
        DEMO_APP.rpartition("/")[2],
        MADE_UP,
        "teapots",
        "BREW",
    ]
    names += [*request_ids, key.name.rpartition("/")[2], "users/", "teams/", "127.0.0.1", "sk-"]

    text = await exposed(clients, service, replica)

    assert [name for name in names if name in text] == []


@pytest.mark.usefixtures("request_ids")
async def test_a_call_counts_once_wherever_it_passes(clients: Clients, key: OwnedKey) -> None:
    gateway, custody = await scrape(clients, "gateway"), await scrape(clients, "keyvault")

    assert await ask_over_http(clients, key.name) == SERVED

    passed = await scrape(clients, "gateway")
    chat = {"http_route": CHAT, "http_response_status_code": "200"}
    assert total(passed, HTTP, **chat) - total(gateway, HTTP, **chat) == 1
    decrypts = {"operation": "transit.decrypt", "outcome": "ok"}
    assert total(passed, VAULT, **decrypts) - total(gateway, VAULT, **decrypts) == 1
    called = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "gpt-4o-mini"}
    assert total(passed, CALLS_OF_OPENAI, **called) - total(gateway, CALLS_OF_OPENAI, **called) == 1
    kept = await scrape(clients, "keyvault")
    leases = {"rpc_method": ACQUIRE, "rpc_response_status_code": "OK"}
    assert total(kept, RPC, **leases) - total(custody, RPC, **leases) == 1


@pytest.mark.usefixtures("request_ids")
async def test_a_lease_and_its_cost_count_once_it_is_settled(
    clients: Clients, key: OwnedKey
) -> None:
    async def settled() -> tuple[float, float]:
        figures = await scrape(clients, "keyvault")
        cost = total(figures, "keyturn_cost_USD_total", gen_ai_request_model="gpt-4o-mini")
        return total(figures, SETTLED, outcome="served"), cost

    served, cost = await settled()
    assert await ask(clients, key.name) == SERVED

    _, now = await until(settled, lambda figures: figures[0] >= served + 1)

    assert now > cost


@pytest.mark.usefixtures("request_ids")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_refusal_counts_by_its_reason(
    clients: Clients, key: OwnedKey, service: Service
) -> None:
    before = total(await scrape(clients, service), REFUSALS, reason="NOT_GRANTED")

    assert await ask(clients, key.name, app="other") == "NOT_GRANTED"

    after = total(await scrape(clients, service), REFUSALS, reason="NOT_GRANTED")
    assert after == before + 1


@pytest.mark.usefixtures("request_ids")
async def test_a_websocket_counts_as_long_as_it_is_open(clients: Clients, key: OwnedKey) -> None:
    async def open_sockets() -> float:
        return total(await scrape(clients, "gateway"), STREAMS, kind="websocket")

    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        http.ws_connect(REALTIME, headers={"x-keyturn-key": key.name}) as socket,
    ):
        clients.keep(await socket.receive_json())
        while_open = await open_sockets()

    assert while_open == 1
    assert await until(open_sockets, lambda count: count == 0) == 0


@pytest.mark.parametrize("service", SERVICES)
async def test_the_state_of_a_healthy_service_is_good(clients: Clients, service: Service) -> None:
    for replica in REPLICAS:
        figures = dict(samples(await exposed(clients, service, replica)))

        assert total(figures, "keyturn_vault_ready") == 1
        assert total(figures, "keyturn_audit_stream_failures_total") == 0
        assert 120 < total(figures, "keyturn_vault_token_ttl_seconds") <= 900
        assert 4 * 3600 < total(figures, "keyturn_certificate_expiry_seconds") <= 86_400
