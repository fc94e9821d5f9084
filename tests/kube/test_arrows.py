"""Who reaches whom, tried with connections: what the policies say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.chart.reachability import Place, Policies, Port
from tests.kube.cluster import (
    API,
    APP,
    DNS,
    INTERNET,
    MACHINE,
    METADATA,
    NEIGHBOUR,
    OPENAI,
    OWNER,
    PROMETHEUS,
    STRANGER,
    VALKEY,
    VAULT,
    Cluster,
)
from tests.kube.places import Address
from tests.kube.pod import Pod, python

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]

_KEYVAULT, _GATEWAY = "keyvault-svc", "gateway-svc"
_JOBS = ("bootstrap", "rewrap")
_AROUND = (APP, OWNER, PROMETHEUS, STRANGER, NEIGHBOUR)
_SENDERS = (_KEYVAULT, _GATEWAY, *_JOBS, *(address.name for address in _AROUND))
_LISTENING = (
    (DNS, Port("UDP", 53)),
    (VAULT["vault-0"], Port("TCP", 8200)),
    (VAULT["vault-2"], Port("TCP", 8200)),
    (VALKEY, Port("TCP", 6379)),
    (API, Port("TCP", 6443)),
    (OPENAI, Port("TCP", 443)),
    (INTERNET, Port("TCP", 443)),
    (METADATA, Port("TCP", 80)),
    (MACHINE, Port("TCP", 10250)),
)
_REFUSED = (
    (_GATEWAY, "valkey:6379"),
    (_GATEWAY, "keyvault-svc:8443"),
    (_GATEWAY, "api:6443"),
    (_GATEWAY, "metadata:80"),
    (_GATEWAY, "internet:443"),
    (_GATEWAY, "machine:10250"),
    (_KEYVAULT, "openai:443"),
    (_KEYVAULT, "internet:443"),
    (_KEYVAULT, "metadata:80"),
    (_KEYVAULT, "api:6443"),
    (_KEYVAULT, "gateway-svc:8443"),
    (_KEYVAULT, "gateway-svc:8444"),
    ("bootstrap", "valkey:6379"),
    ("bootstrap", "openai:443"),
    ("bootstrap", "keyvault-svc:8444"),
    ("rewrap", "keyvault-svc:8444"),
    ("rewrap", "openai:443"),
    ("app", "keyvault-svc:8443"),
    ("app", "keyvault-svc:8444"),
    ("app", "keyvault-svc:9090"),
    ("app", "gateway-svc:9090"),
    ("app", "gateway-svc:8080"),
    ("owner", "keyvault-svc:8444"),
    ("owner", "gateway-svc:8443"),
    ("prometheus", "gateway-svc:8443"),
    ("stranger", "gateway-svc:8443"),
    ("stranger", "gateway-svc:8444"),
    ("stranger", "keyvault-svc:8443"),
    ("neighbour", "keyvault-svc:8444"),
    ("neighbour", "gateway-svc:9090"),
)


@pytest.mark.parametrize("sender", _SENDERS)
def test_connections_pass_where_the_policies_let_them_and_nowhere_else(
    cluster: Cluster, sender: str
) -> None:
    pod = _pod(cluster, sender)
    ways = [(address, port) for address, port in _ways(cluster) if address != pod.address]

    outcomes = _dial(pod, ways)

    assert outcomes == {
        _target(address, port): _expected(cluster, pod.address, address, port)
        for address, port in ways
    }


@pytest.mark.parametrize(("sender", "receiver"), _REFUSED)
def test_forbidden_ways_are_refused_by_the_policies_alone(
    cluster: Cluster, sender: str, receiver: str
) -> None:
    pod = _pod(cluster, sender)
    name, _, number = receiver.partition(":")
    [way] = [
        (address, port)
        for address, port in _ways(cluster)
        if address.name.startswith(name) and port.number == int(number) and address != pod.address
    ][:1]

    with_policies = _dial(pod, [way])
    cluster.lift_policies()
    try:
        without = _dial(pod, [way])
    finally:
        cluster.enforce_policies()

    assert set(with_policies.values()) == {"denied"}
    assert set(without.values()) == {"open"}


def _ways(cluster: Cluster) -> Iterator[tuple[Address, Port]]:
    yield from _LISTENING
    for deployment in cluster.deployments.values():
        for pod in deployment.pods[:1]:
            for number in pod.address.named_ports.values():
                yield pod.address, Port("TCP", number)


def _pod(cluster: Cluster, sender: str) -> Pod:
    """Return a pod that is not one of those that are called."""
    if sender in cluster.deployments:
        return cluster.deployments[sender].pods[-1]
    if sender in cluster.pods:
        return cluster.pods[sender]
    return cluster.idle_pod_of(sender)


def _dial(pod: Pod, ways: list[tuple[Address, Port]]) -> dict[str, str]:
    targets = [_target(address, port) for address, port in ways]
    done = pod.execute(*python("tests.kube.programs.dial", *targets))
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def _target(address: Address, port: Port) -> str:
    return f"{'udp:' if port.protocol == 'UDP' else ''}{address.ip}:{port.number}"


def _expected(cluster: Cluster, sender: Address, receiver: Address, port: Port) -> str:
    """Return what the simulator of tests/chart says, by other code than the rules enforced here."""
    policies = Policies(cluster.release.of_kind("NetworkPolicy"))
    return "open" if policies.allow(_place(sender), _place(receiver), port) else "denied"


def _place(address: Address) -> Place:
    return Place(
        name=address.name,
        address=address.ip,
        namespace=address.namespace,
        labels=address.labels,
        namespace_labels=address.namespace_labels,
        named_ports={name: ("TCP", number) for name, number in address.named_ports.items()},
    )
