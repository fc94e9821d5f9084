"""The chart's NetworkPolicies let pass what Keyturn needs, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_engines import COMBINATIONS
from tests.chart.reachability import Direction, Policies
from tests.chart.reachability_table import TABLE_FILE, page, release_of
from tests.chart.releases import Release
from tests.chart.world import World, world_around

_ONLY_TO_OPENAI = {"gateway-svc", "reconcile"}
_METADATA = {"Metadata of the cloud", "IPv6 metadata of the cloud"}
_INTERNET = {"Internet", "IPv6 internet"}
_TEST = ("test", "TCP 8080")  # while `helm test` runs
_NOBODY = {"Stranger", "Neighbour in the namespace", "Another node", *_INTERNET, *_METADATA}


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    """Each combination in its surroundings, with OpenAI by addresses."""
    return {name: world_around(release_of(name)) for name in COMBINATIONS}


@pytest.fixture(params=COMBINATIONS)
def world(request: pytest.FixtureRequest, worlds: dict[str, World]) -> World:
    """Each of them in turn."""
    return worlds[request.param]


def _outward(world: World) -> list[tuple[str, str, str, set[bool]]]:
    return [
        (sender.name, receiver.name, f"{port.protocol} {port.number}", verdicts)
        for sender, receiver, port in world.connections(world.pods, world.others + world.pods)
        if True in (verdicts := world.allows(sender, receiver, port))
    ]


def _inward(world: World) -> list[tuple[str, str, int, set[bool]]]:
    return [
        (sender.name, receiver.name, port.number, verdicts)
        for sender, receiver, port in world.connections(world.others, world.pods)
        if True in (verdicts := world.allows(sender, receiver, port))
    ]


def test_the_page_says_what_the_policies_do() -> None:
    assert TABLE_FILE.read_text(encoding="utf-8") == page()


def test_with_the_defaults_no_answer_depends_on_the_network_plugin(
    worlds: dict[str, World],
) -> None:
    minimal = worlds["minimal"]
    doubtful = [
        connection
        for connection in (*_outward(minimal), *_inward(minimal))
        if connection[3] != {True}
    ]

    assert doubtful == []


def test_every_pod_is_under_policies_of_both_directions(world: World) -> None:
    policies = Policies(world.release.of_kind("NetworkPolicy"))
    open_sides = [
        (pod.name, direction.value)
        for pod in world.pods
        for direction in Direction
        if not policies.selecting(pod, direction)
    ]

    assert open_sides == []


def test_only_the_gateway_and_the_reconcile_job_reach_the_internet(world: World) -> None:
    found = {(to, port, sender) for sender, to, port, _ in _outward(world) if to in _INTERNET}

    assert {sender for _, _, sender in found} <= _ONLY_TO_OPENAI
    assert {port for _, port, _ in found} == {"TCP 443"}


def test_the_gateway_reaches_openai(worlds: dict[str, World]) -> None:
    reached = {to for sender, to, _, _ in _outward(worlds["minimal"]) if sender == "gateway-svc"}

    assert reached >= _INTERNET


def test_no_pod_reaches_metadata_nodes_or_pods_that_are_none_of_its_business(world: World) -> None:
    found = [(sender, to) for sender, to, _, _ in _outward(world) if to in _NOBODY - _INTERNET]

    assert found == []


def test_of_the_key_service_pods_reach_the_port_for_gateways_only(world: World) -> None:
    found = {(s, port) for s, to, port, _ in _outward(world) if to == "keyvault-svc"}

    assert found - {_TEST} <= {("gateway-svc", "TCP 8444"), ("reconcile", "TCP 8444")}
    assert ("gateway-svc", "TCP 8444") in found


def test_the_key_service_and_the_jobs_call_no_pod_of_the_release(world: World) -> None:
    components = {pod.name for pod in world.pods}
    found = {(s, port) for s, to, port, _ in _outward(world) if to in components - {"keyvault-svc"}}

    assert found == {_TEST}


def test_a_test_of_the_release_reaches_health_and_names_alone(world: World) -> None:
    found = {(to, port) for s, to, port, _ in _outward(world) if s == "test"}

    assert found == {
        *(("keyvault-svc", "TCP 8080"), ("gateway-svc", "TCP 8080")),
        *(("DNS", "TCP 53"), ("DNS", "UDP 53")),
    }


def test_nobody_but_the_envoys_reaches_the_port_that_hands_keys_out(
    worlds: dict[str, World],
) -> None:
    found = {(sender, to) for sender, to, port, _ in _inward(worlds["full"]) if port == 9443}

    assert found == {("Envoy", "gateway-svc")}


def test_nobody_but_named_gateways_comes_to_the_port_for_gateways(world: World) -> None:
    found = {
        sender for sender, to, port, _ in _inward(world) if (to, port) == ("keyvault-svc", 8444)
    }

    named = world.release.values.get("networkPolicy", {}).get("gateways")
    assert found == ({"Gateway of another cluster"} if named else set())


def test_nobody_who_is_not_named_reaches_a_pod(world: World) -> None:
    """By the stricter reading: blocks of a company's network do not mean its pods."""
    found = [c[:3] for c in _inward(world) if c[0] in _NOBODY and c[3] == {True}]

    assert found == []


def test_apps_reach_the_gateway_and_not_the_key_service(world: World) -> None:
    found = {(to, port) for sender, to, port, verdicts in _inward(world) if sender == "App"
             if verdicts == {True}}  # fmt: skip

    by_token = world.release.values.get("gateway", {}).get("tokenPort", {}).get("enabled", False)
    ports = (8443, 8444, 8445) if by_token else (8443, 8444)
    assert found == {("gateway-svc", port) for port in ports}


def test_nobody_reaches_health_and_only_prometheus_reaches_metrics(world: World) -> None:
    found = {(sender, port) for sender, _, port, _ in _inward(world) if port in {8080, 9090}}

    assert found <= {("Prometheus", 9090)}


def test_nobody_reaches_a_job(world: World) -> None:
    served = {to for _, to, _, _ in _inward(world)} | {
        to for _, to, _, _ in _outward(world) if to in {pod.name for pod in world.pods}
    }

    assert served <= {"gateway-svc", "keyvault-svc"}


def _hosts(release: Release) -> set[str]:
    openai = release.settings(release.workload("gateway-svc"))["openai"]
    urls = [openai["base_url"], *openai["other_base_urls"]]
    return {url.removeprefix("https://").split("/")[0] for url in urls}


def test_with_cilium_openai_is_reached_by_its_names_alone(releases: dict[str, Release]) -> None:
    full = releases["full"]
    rules: list[dict[str, Any]] = [
        rule
        for policy in full.of_kind("CiliumNetworkPolicy")
        for rule in policy["spec"]["egress"]
        if "toFQDNs" in rule
    ]
    in_world = world_around(full)

    assert {name["matchName"] for rule in rules for name in rule["toFQDNs"]} == _hosts(full)
    assert [
        port["port"] for rule in rules for part in rule["toPorts"] for port in part["ports"]
    ] == ["443"] * len(rules)
    assert [to for _, to, _, _ in _outward(in_world) if to in _INTERNET] == []
