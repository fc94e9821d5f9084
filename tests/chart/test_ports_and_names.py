"""The ports and names of the settings are those of the objects around them."""

from __future__ import annotations

import pytest

from gateway_svc.rpc.services import SERVICES
from keyvault_svc.ports import OWNER_SERVICES
from svc_runtime.grpc_server import DEFAULT_CONNECTION_SECONDS
from tests.chart.chart_engines import NAMESPACE
from tests.chart.releases import Release, Workload

_COMPONENT = "app.kubernetes.io/component"
_DOORS = {"owners": "keyvault-svc", "http": "gateway-svc", "grpc": "gateway-svc"}
_PORTS = {
    "owner_address": "owners",
    "gateway_address": "gateways",
    "grpc_address": "grpc",
    "grpc_token_address": "grpc-token",
    "http_address": "https",
    "health_address": "health",
}


@pytest.mark.parametrize("component", ["keyvault-svc", "gateway-svc"])
def test_the_ports_of_the_settings_are_the_containers(release: Release, component: str) -> None:
    workload = release.workload(component)
    settings = release.settings(workload)
    listening = {_PORTS[key]: settings[key] for key in settings if key in _PORTS}
    if "metrics_address" in settings.get("telemetry", {}):
        listening["metrics"] = settings["telemetry"]["metrics_address"]
    if "ext_authz" in settings:
        listening["ext-authz"] = settings["ext_authz"]["address"]

    assert {name: int(address.rpartition(":")[2]) for name, address in listening.items()} == (
        workload.ports
    )


def test_services_lead_to_ports_that_are_there(release: Release) -> None:
    astray = [
        f"{service['metadata']['name']}: {port['targetPort']}"
        for service in release.of_kind("Service")
        for workload in release.workloads
        if service["spec"]["selector"].items() <= workload.labels.items()
        for port in service["spec"]["ports"]
        if port["targetPort"] not in {*workload.ports, *workload.ports.values()}
    ]

    assert astray == []


def test_policies_of_ingress_open_the_ports_that_are_there(release: Release) -> None:
    """Every port but that of health is opened by a policy that stays, and nothing else is."""
    opened = {
        workload.component: {
            port["port"]
            for policy in release.of_kind("NetworkPolicy")
            if policy["spec"]["podSelector"]["matchLabels"].items() <= workload.labels.items()
            if policy["metadata"]["annotations"].get("helm.sh/hook") != "test"
            for rule in policy["spec"].get("ingress", ())
            for port in rule["ports"]
        }
        for workload in release.workloads
    }

    expected = {
        workload.component: {n for name, n in workload.ports.items() if name != "health"}
        for workload in release.workloads
    }
    assert opened == expected


@pytest.mark.parametrize("component", ["keyvault-svc", "gateway-svc"])
def test_probes_ask_for_services_that_the_process_has(release: Release, component: str) -> None:
    container = release.workload(component).container
    served = {"keyvault-svc": OWNER_SERVICES, "gateway-svc": SERVICES}

    assert "service" not in container["startupProbe"]["grpc"]
    assert "service" not in container["livenessProbe"]["grpc"]
    assert container["readinessProbe"]["grpc"]["service"] in served[component]


def test_a_test_of_the_release_asks_both_services_for_what_their_probes_ask(
    release: Release,
) -> None:
    asked = release.workload("test").container["args"][3:]
    services = [release.workload(component) for component in ("keyvault-svc", "gateway-svc")]

    assert [text.partition(":")[2] for text in asked] == [
        f"{workload.ports['health']}/{workload.container['readinessProbe']['grpc']['service']}"
        for workload in services
    ]


def test_a_test_of_the_release_finds_the_pods_by_their_own_addresses(release: Release) -> None:
    """A Service that has an address leads to its own ports alone, and none leads to health."""
    names = [text.split(".")[0] for text in release.workload("test").container["args"][3:]]
    services = [release.named("Service", name) for name in names]

    assert [service["spec"]["clusterIP"] for service in services] == ["None", "None"]
    assert [service["spec"]["selector"][_COMPONENT] for service in services] == [
        "keyvault-svc",
        "gateway-svc",
    ]


@pytest.mark.parametrize("component", ["keyvault-svc", "gateway-svc"])
def test_a_pod_has_the_time_that_it_takes_to_stop(release: Release, component: str) -> None:
    workload = release.workload(component)
    sleep = workload.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = release.settings(workload)["drain_seconds"]

    assert workload.pod["terminationGracePeriodSeconds"] >= sleep + drain + 15


@pytest.mark.parametrize("component", ["keyvault-svc", "gateway-svc"])
def test_connections_end_by_age_before_a_pod_does(release: Release, component: str) -> None:
    """A client's connection lives a tenth longer than it is told to, and then a call on it."""
    settings = release.settings(release.workload(component))
    age = settings.get("connection_seconds", DEFAULT_CONNECTION_SECONDS)

    assert settings["drain_seconds"] >= age * 1.1


def test_an_old_pod_goes_when_resolvers_know_the_new_one(release: Release) -> None:
    """Unless one process at a time has the file of the limits."""
    waits = {
        item["spec"]["minReadySeconds"]
        for item in release.of_kind("Deployment")
        if item["spec"]["strategy"]["type"] == "RollingUpdate"
    }

    assert min(waits) >= 60


def test_certificates_name_the_services_that_are_called(release: Release) -> None:
    names = {
        certificate["spec"]["secretName"]: set(certificate["spec"]["dnsNames"])
        for certificate in release.of_kind("Certificate")
    }
    uncovered = {
        f"{service['metadata']['name']}.{NAMESPACE}.svc"
        for service in release.of_kind("Service")
        for workload in release.workloads
        if service["spec"]["selector"].items() <= workload.labels.items()
        and service["spec"]["type"] == "ClusterIP"
        and service["spec"]["ports"][0]["targetPort"] != "metrics"
        for secret in [_tls_secret(workload)]
        if secret in names and f"{service['metadata']['name']}.{NAMESPACE}.svc" not in names[secret]
    }

    assert uncovered == set()


def test_certificates_have_the_names_that_callers_use_from_outside(release: Release) -> None:
    hosts = {
        door["host"]: _tls_secret(release.workload(component))
        for name, component in _DOORS.items()
        if (door := release.values.get("exposure", {}).get(name))
    }
    names = {
        certificate["spec"]["secretName"]: certificate["spec"]["dnsNames"]
        for certificate in release.of_kind("Certificate")
    }

    assert [host for host, secret in hosts.items() if host not in names.get(secret, [host])] == []


def _tls_secret(workload: Workload) -> str:
    volumes = {volume["name"]: volume for volume in workload.pod["volumes"]}
    return str(volumes["tls"].get("secret", {}).get("secretName", ""))


def test_the_gateway_calls_the_service_of_the_key_service(release: Release) -> None:
    key_service = release.settings(release.workload("gateway-svc"))["key_service"]
    host, _, port = key_service["target"].removeprefix("dns:///").rpartition(":")
    service = release.named("Service", host.split(".")[0])

    assert host.startswith(f"{service['metadata']['name']}.{NAMESPACE}.svc")
    assert service["spec"]["clusterIP"] == "None"
    assert [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]] == [
        (int(port), "gateways")
    ]


def test_the_key_services_certificate_has_the_name_that_gateways_expect(release: Release) -> None:
    server_name = release.settings(release.workload("gateway-svc"))["key_service"]["server_name"]
    names = [
        certificate["spec"]["dnsNames"]
        for certificate in release.of_kind("Certificate")
        if certificate["spec"]["secretName"] == _tls_secret(release.workload("keyvault-svc"))
    ]

    assert all(server_name in dns_names for dns_names in names)
    assert names or release.values["certificates"]["provider"] != "certManager"


def test_the_key_service_lets_in_the_gateways_certificate(release: Release) -> None:
    gateways = release.settings(release.workload("keyvault-svc"))["gateways"]
    ids = [
        certificate["spec"]["uris"]
        for certificate in release.of_kind("Certificate")
        if certificate["spec"]["secretName"] == _tls_secret(release.workload("gateway-svc"))
    ]

    assert f"spiffe://{release.values['trustDomain']}/gateway-svc" in gateways
    assert all(set(uris) <= set(gateways) for uris in ids)
