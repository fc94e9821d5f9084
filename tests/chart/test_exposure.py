"""The ways in from outside, and what Prometheus scrapes, lead to what there is."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chart.releases import Release

_COMPONENT = "app.kubernetes.io/component"


def _ports(release: Release) -> set[tuple[str, int]]:
    return {
        (service["metadata"]["name"], port["port"])
        for service in release.of_kind("Service")
        for port in service["spec"]["ports"]
    }


def _backends(release: Release) -> Iterator[tuple[str, int]]:
    for ingress in release.of_kind("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            service = path["backend"]["service"]
            yield service["name"], service["port"]["number"]


def test_an_ingress_leads_to_a_port_of_a_service(releases: dict[str, Release]) -> None:
    backends = set(_backends(releases["full"]))

    assert len(backends) == 1
    assert backends <= _ports(releases["full"])


def test_a_route_leads_to_a_port_of_a_service(releases: dict[str, Release]) -> None:
    backends = {
        (backend["name"], backend["port"])
        for route in releases["full"].of_kind("TLSRoute")
        for rule in route["spec"]["rules"]
        for backend in rule["backendRefs"]
    }

    assert len(backends) == 1
    assert backends <= _ports(releases["full"])


def test_a_load_balancer_keeps_the_callers_addresses(releases: dict[str, Release]) -> None:
    [balancer] = [
        service
        for service in releases["full"].of_kind("Service")
        if service["spec"]["type"] == "LoadBalancer"
    ]

    assert balancer["spec"]["externalTrafficPolicy"] == "Local"
    assert balancer["spec"]["loadBalancerSourceRanges"] == ["10.0.0.0/8"]


def test_prometheus_calls_the_jobs_as_alerts_expect(releases: dict[str, Release]) -> None:
    [monitor] = releases["full"].of_kind("ServiceMonitor")
    label = monitor["spec"]["jobLabel"]

    jobs = {
        service["spec"]["selector"][_COMPONENT]: service["metadata"]["labels"][label]
        for service in releases["full"].of_kind("Service")
        if label in service["metadata"]["labels"]
    }

    assert jobs == {"gateway-svc": "keyturn-gateway", "keyvault-svc": "keyturn-keyvault"}
