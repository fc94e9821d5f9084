"""The simulator against what Kubernetes documents for NetworkPolicies.

Source: "Network Policies" of the Kubernetes documentation, and the API reference of
networking.k8s.io/v1. The policies of the recipes there are taken over as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.chart.reachability import Direction, Place, Policies, Port, policy_types, selects

_DB = Place(
    name="db",
    address="10.0.0.10",
    namespace="default",
    labels={"role": "db"},
    namespace_labels={"kubernetes.io/metadata.name": "default"},
    named_ports={"redis": ("TCP", 6379)},
)
_FRONTEND = Place(
    name="frontend",
    address="10.0.0.11",
    namespace="default",
    labels={"role": "frontend"},
    namespace_labels={"kubernetes.io/metadata.name": "default"},
)
_BACKEND = replace(_FRONTEND, name="backend", address="10.0.0.12", labels={"role": "backend"})
_PROJECT_POD = Place(
    name="project-pod",
    address="10.0.9.1",
    namespace="other",
    labels={"role": "client"},
    namespace_labels={"kubernetes.io/metadata.name": "other", "project": "myproject"},
)
_FRONTEND_ELSEWHERE = Place(
    name="frontend-elsewhere",
    address="10.0.9.2",
    namespace="third",
    labels={"role": "frontend"},
    namespace_labels={"kubernetes.io/metadata.name": "third"},
)
_INSIDE = Place(name="inside", address="172.17.0.5")
_EXCEPTED = Place(name="excepted", address="172.17.1.5")
_RECEIVER = Place(name="receiver", address="10.0.0.200")
_REDIS = Port("TCP", 6379)

_DOCUMENTED = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: test-network-policy, namespace: default}
spec:
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
    ports: [{protocol: TCP, port: 5978}]
"""


def _policy(spec: str, namespace: str = "default") -> dict[str, Any]:
    return {
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": yaml.safe_load(spec),
    }


def _allowed(spec: str, sender: Place, receiver: Place, port: Port = _REDIS) -> bool:
    return Policies([_policy(spec)]).allow(sender, receiver, port)


@pytest.mark.parametrize(
    ("sender", "allowed"),
    [
        (_INSIDE, True),
        (_EXCEPTED, False),
        (_PROJECT_POD, True),
        (_FRONTEND, True),
        (_BACKEND, False),
        (_FRONTEND_ELSEWHERE, False),
    ],
    ids=lambda value: value.name if isinstance(value, Place) else str(value),
)
def test_the_documented_policy_lets_in_whom_the_documentation_says(
    sender: Place, *, allowed: bool
) -> None:
    policies = Policies([yaml.safe_load(_DOCUMENTED)])

    assert policies.allow(sender, _DB, _REDIS) is allowed


@pytest.mark.parametrize(("port", "allowed"), [(5978, True), (5979, False), (6379, False)], ids=str)
def test_the_documented_policy_lets_out_to_one_port_of_one_network(
    port: int, *, allowed: bool
) -> None:
    policies = Policies([yaml.safe_load(_DOCUMENTED)])

    assert policies.allow(_DB, _RECEIVER, Port("TCP", port)) is allowed
    assert not policies.allow(_DB, _INSIDE, Port("TCP", port))


def test_the_documented_policy_is_about_no_other_port() -> None:
    policies = Policies([yaml.safe_load(_DOCUMENTED)])

    assert not policies.allow(_FRONTEND, _DB, Port("TCP", 6380))
    assert not policies.allow(_FRONTEND, _DB, Port("UDP", 6379))


def test_a_pod_that_no_policy_selects_is_open_in_both_directions() -> None:
    policies = Policies([yaml.safe_load(_DOCUMENTED)])

    assert policies.allow(_INSIDE, _BACKEND, _REDIS)
    assert policies.allow(_BACKEND, _INSIDE, _REDIS)


def test_a_policy_of_one_direction_leaves_the_other_open() -> None:
    deny_ingress = "{podSelector: {}, policyTypes: [Ingress]}"

    assert not _allowed(deny_ingress, _FRONTEND_ELSEWHERE, _DB)
    assert _allowed(deny_ingress, _DB, _FRONTEND_ELSEWHERE)


def test_an_empty_rule_allows_everything_and_no_rule_allows_nothing() -> None:
    allow_all = "{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}"
    deny_all = "{podSelector: {}, ingress: [], policyTypes: [Ingress]}"

    assert _allowed(allow_all, _INSIDE, _DB)
    assert not _allowed(deny_all, _INSIDE, _DB)


def test_policies_add_up() -> None:
    deny_all = _policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")
    allow_frontend = _policy(
        "{podSelector: {matchLabels: {role: db}},"
        " ingress: [{from: [{podSelector: {matchLabels: {role: frontend}}}]}]}"
    )
    let_out = _policy("{podSelector: {}, egress: [{}], policyTypes: [Egress]}")

    assert not Policies([deny_all, allow_frontend]).allow(_FRONTEND, _DB, _REDIS)
    assert Policies([deny_all, allow_frontend, let_out]).allow(_FRONTEND, _DB, _REDIS)


def test_both_ends_must_allow_a_connection() -> None:
    no_egress = "{podSelector: {matchLabels: {role: backend}}, policyTypes: [Egress]}"

    assert not _allowed(no_egress, _BACKEND, _DB)
    assert _allowed(no_egress, _FRONTEND, _DB)


def test_a_policy_selects_pods_of_its_own_namespace_only() -> None:
    deny_all = "{podSelector: {}, policyTypes: [Ingress]}"

    assert not _allowed(deny_all, _INSIDE, _DB)
    assert _allowed(deny_all, _INSIDE, _FRONTEND_ELSEWHERE)


def test_two_selectors_of_one_peer_must_both_match() -> None:
    both = (
        "{podSelector: {}, ingress: [{from: ["
        "{namespaceSelector: {matchLabels: {project: myproject}},"
        " podSelector: {matchLabels: {role: frontend}}}]}]}"
    )
    either = (
        "{podSelector: {}, ingress: [{from: ["
        "{namespaceSelector: {matchLabels: {project: myproject}}},"
        " {podSelector: {matchLabels: {role: frontend}}}]}]}"
    )

    assert not _allowed(both, _PROJECT_POD, _DB)
    assert not _allowed(both, _FRONTEND, _DB)
    assert _allowed(either, _PROJECT_POD, _DB)
    assert _allowed(either, _FRONTEND, _DB)


def test_an_empty_namespace_selector_matches_every_pod_and_no_address_outside() -> None:
    from_pods = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"

    assert _allowed(from_pods, _FRONTEND_ELSEWHERE, _DB)
    assert not _allowed(from_pods, _INSIDE, _DB)


def test_a_range_of_ports_holds_both_its_ends() -> None:
    ranged = (
        "{podSelector: {}, policyTypes: [Egress],"
        " egress: [{ports: [{protocol: TCP, port: 32000, endPort: 32768}]}]}"
    )

    allowed = [
        port
        for port in (31999, 32000, 32500, 32768, 32769)
        if _allowed(ranged, _DB, _INSIDE, Port("TCP", port))
    ]

    assert allowed == [32000, 32500, 32768]


def test_a_named_port_is_the_receivers() -> None:
    named = "{podSelector: {}, ingress: [{ports: [{port: redis}]}]}"

    assert _allowed(named, _INSIDE, _DB, _REDIS)
    assert not _allowed(named, _INSIDE, _DB, Port("TCP", 6380))
    assert not _allowed(named, _INSIDE, _FRONTEND, _REDIS)


def test_a_named_port_of_an_egress_rule_matches_no_address_outside() -> None:
    named = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: redis}]}]}"

    assert _allowed(named, _FRONTEND, _DB)
    assert not _allowed(named, _FRONTEND, _INSIDE)


def test_a_port_without_number_means_all_of_its_protocol() -> None:
    any_udp = "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"

    assert _allowed(any_udp, _INSIDE, _DB, Port("UDP", 1))
    assert not _allowed(any_udp, _INSIDE, _DB, Port("TCP", 1))


def test_a_pod_reaches_itself_and_its_own_node_whatever_policies_say() -> None:
    deny_all = Policies([_policy("{podSelector: {}, policyTypes: [Ingress, Egress]}")])
    node = Place(name="node", address="192.168.0.2", host_of=frozenset({"db"}))

    assert deny_all.allow(_DB, _DB, _REDIS)
    assert deny_all.allow(node, _DB, _REDIS)
    assert deny_all.allow(_DB, node, _REDIS)
    assert not deny_all.allow(node, _FRONTEND, _REDIS)


def test_whether_a_block_matches_a_pod_is_the_callers_choice() -> None:
    policy = _policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}")

    assert Policies([policy], blocks_match_pods=True).allow(_PROJECT_POD, _DB, _REDIS)
    assert not Policies([policy], blocks_match_pods=False).allow(_PROJECT_POD, _DB, _REDIS)


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ("{podSelector: {}}", ["Ingress"]),
        ("{podSelector: {}, egress: []}", ["Ingress"]),
        ("{podSelector: {}, egress: [{}]}", ["Ingress", "Egress"]),
        ("{podSelector: {}, policyTypes: [Egress]}", ["Egress"]),
    ],
)
def test_policy_types_default_to_what_the_api_reference_says(spec: str, types: list[str]) -> None:
    assert policy_types(_policy(spec)) == types


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("{key: role, operator: In, values: [db, cache]}", True),
        ("{key: role, operator: In, values: [cache]}", False),
        ("{key: role, operator: NotIn, values: [cache]}", True),
        ("{key: tier, operator: NotIn, values: [cache]}", True),
        ("{key: tier, operator: In, values: [cache]}", False),
        ("{key: role, operator: Exists}", True),
        ("{key: tier, operator: Exists}", False),
        ("{key: tier, operator: DoesNotExist}", True),
        ("{key: role, operator: DoesNotExist}", False),
    ],
)
def test_expressions_match_as_labels_do(expression: str, *, matches: bool) -> None:
    assert selects({"matchExpressions": [yaml.safe_load(expression)]}, {"role": "db"}) is matches


@pytest.mark.parametrize(
    ("peer", "fault"),
    [
        ("{}", "must have a selector"),
        ("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}", "must have no selector"),
        ("{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/24]}}", "no part of"),
    ],
)
def test_what_the_api_refuses_is_refused(peer: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        _allowed(f"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}", _INSIDE, _DB)


def test_the_policies_that_select_a_pod_are_found_by_direction() -> None:
    policies = Policies([yaml.safe_load(_DOCUMENTED)])

    assert len(policies.selecting(_DB, Direction.EGRESS)) == 1
    assert policies.selecting(_FRONTEND, Direction.EGRESS) == []
    assert policies.selecting(_INSIDE, Direction.INGRESS) == []
