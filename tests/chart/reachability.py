"""Who may connect to whom, by the semantics that Kubernetes documents for NetworkPolicies.

A connection passes if the sender's egress and the receiver's ingress allow it. A pod that no
policy of a direction selects is open in that direction; one that some select may do what any of
them allows. What the documentation leaves to the network plugin is a choice of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

Object = Mapping[str, Any]


class Direction(StrEnum):
    """The two sides of a policy, as `policyTypes` names them."""

    INGRESS = "Ingress"
    EGRESS = "Egress"


@dataclass(frozen=True, kw_only=True)
class Place:
    """An end of a connection: a pod if it has a namespace, otherwise an address outside."""

    name: str
    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    named_ports: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    host_of: frozenset[str] = frozenset()  # names of the pods that run on this node

    @property
    def is_pod(self) -> bool:
        """Whether policies can select it."""
        return bool(self.namespace)


@dataclass(frozen=True)
class Port:
    """What a connection is made to."""

    protocol: str
    number: int


@dataclass(frozen=True)
class Policies:
    """The NetworkPolicies of a cluster.

    Attributes:
        objects: The policies; objects of other kinds must not be among them.
        blocks_match_pods: Whether an `ipBlock` matches the address of a pod, which the
            documentation leaves open: some plugins compare every address, some only those outside.
    """

    objects: Sequence[Object]
    blocks_match_pods: bool = True

    def allow(self, sender: Place, receiver: Place, port: Port) -> bool:
        """Tell whether *sender* can connect to *port* of *receiver*."""
        # A pod cannot be kept from itself, nor from the node that it runs on, nor that from it.
        if sender == receiver or receiver.name in sender.host_of or sender.name in receiver.host_of:
            return True
        return self._side_allows(Direction.EGRESS, sender, receiver, port, receiver) and (
            self._side_allows(Direction.INGRESS, receiver, sender, port, receiver)
        )

    def selecting(self, pod: Place, direction: Direction) -> list[Object]:
        """Return the policies of *direction* that select *pod*."""
        return [
            policy
            for policy in self.objects
            if pod.is_pod
            and policy["metadata"]["namespace"] == pod.namespace
            and direction in policy_types(policy)
            and selects(policy["spec"].get("podSelector", {}), pod.labels)
        ]

    def _side_allows(
        self, direction: Direction, pod: Place, peer: Place, port: Port, receiver: Place
    ) -> bool:
        policies = self.selecting(pod, direction)
        key = "to" if direction is Direction.EGRESS else "from"
        return not policies or any(
            self._peers_match(rule.get(key), peer, pod.namespace)
            and _ports_match(rule.get("ports"), port, receiver)
            for policy in policies
            for rule in policy["spec"].get(direction.lower()) or ()
        )

    def _peers_match(self, peers: Sequence[Object] | None, place: Place, namespace: str) -> bool:
        return not peers or any(self._peer_matches(peer, place, namespace) for peer in peers)

    def _peer_matches(self, peer: Object, place: Place, namespace: str) -> bool:
        if "ipBlock" in peer:
            if len(peer) > 1:
                raise ValueError("a peer with ipBlock must have no selector")
            return (self.blocks_match_pods or not place.is_pod) and _in_block(
                peer["ipBlock"], place.address
            )
        if not {"namespaceSelector", "podSelector"} & peer.keys():
            raise ValueError("a peer must have a selector or ipBlock")
        if not place.is_pod:
            return False
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"] or {}, place.namespace_labels):
                return False
        elif place.namespace != namespace:
            return False
        return selects(peer.get("podSelector") or {}, place.labels)


def policy_types(policy: Object) -> list[str]:
    """Return the directions of *policy*; by default ingress, and egress if it has rules for it."""
    spec = policy["spec"]
    if "policyTypes" in spec:
        return list(spec["policyTypes"])
    return [Direction.INGRESS, *([Direction.EGRESS] if spec.get("egress") else [])]


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether the label *selector* matches *labels*; an empty one matches all."""
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(
        _expression_matches(expression, labels)
        for expression in selector.get("matchExpressions") or ()
    )


def _expression_matches(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case operator:
            raise ValueError(f"no such operator: {operator}")


def _in_block(block: Object, address: str) -> bool:
    place, network = ip_address(address), ip_network(block["cidr"])
    excepted = [ip_network(cidr) for cidr in block.get("except") or ()]
    for part in excepted:
        if part.version != network.version or not part.subnet_of(network):  # type: ignore[arg-type]  # the versions are the same here
            raise ValueError(f"the exception {part} is no part of {network}")
    return place in network and not any(place in part for part in excepted)


def _ports_match(ports: Iterable[Object] | None, port: Port, receiver: Place) -> bool:
    entries = list(ports or ())
    return not entries or any(_port_matches(entry, port, receiver) for entry in entries)


def _port_matches(entry: Object, port: Port, receiver: Place) -> bool:
    protocol, number = entry.get("protocol", "TCP"), entry.get("port")
    if protocol != port.protocol:
        return False
    if number is None:
        return True
    if isinstance(number, str):
        if "endPort" in entry:
            raise ValueError("endPort needs a number as port")
        return receiver.named_ports.get(number) == (port.protocol, port.number)
    return bool(number <= port.number <= entry.get("endPort", number))
