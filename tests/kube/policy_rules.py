"""NetworkPolicies as rules of iptables, for the FORWARD chain of the node between all pods.

Read from the rendered objects alone, and by other code than tests/chart/reachability.py, so that
the two can be held against each other. IPv4 only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.kube.places import Address

Object = Mapping[str, Any]

# A caller that a policy stops hears EHOSTUNREACH, at once: no closed port answers so. The plugins
# of real clusters say nothing, and callers time out.
_REFUSE: Final = "-j REJECT --reject-with icmp-admin-prohibited"
_LET_IN: Final = "-j MARK --set-mark 1"


@dataclass
class PolicyRules:
    """The rules for *pods*, of which some are selected by *policies*.

    A pod that a policy selects has a chain for that direction, which marks what passes and refuses
    what stays without a mark. A pod that none selects has no chain.
    """

    policies: Sequence[Object]
    pods: Sequence[Address]
    _lines: list[str] = field(default_factory=list)
    _chains: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def table(self) -> str:
        """Return the table `filter`, as iptables-restore takes it."""
        forward = ["-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
        for pod in self.pods:
            for kind, own in (("Egress", "-s"), ("Ingress", "-d")):
                policies = [policy for policy in self.policies if _selects(policy, pod, kind)]
                if policies:
                    chain = self._chain(kind)
                    forward.append(f"-A FORWARD {own} {pod.ip} -j {chain}")
                    self._fill(chain, kind, pod, policies)
        lines = ["*filter", ":FORWARD ACCEPT", *(f":{chain} -" for chain in self._chains)]
        return "\n".join([*lines, *forward, *self._lines, "COMMIT", ""])

    def _fill(self, chain: str, kind: str, pod: Address, policies: Sequence[Object]) -> None:
        self._lines.append(f"-A {chain} -j MARK --set-mark 0")
        for policy in policies:
            for rule in policy["spec"].get(kind.lower()) or ():
                peers = rule.get("to" if kind == "Egress" else "from")
                for peer in self._peers(peers, pod):
                    owner = pod if kind == "Ingress" else peer
                    for port in _ports(rule.get("ports"), owner):
                        far = _match_far(peer, kind)
                        self._lines.append(f"-A {chain}{far}{port} {_LET_IN}")
            self._lines.extend(self._blocks(chain, kind, policy))
        self._lines.append(f"-A {chain} -m mark --mark 0 {_REFUSE}")

    def _peers(self, peers: Sequence[Object] | None, pod: Address) -> Iterator[Address | None]:
        """Yield the pods that *peers* select; None for anybody."""
        if not peers:
            yield None
        for peer in peers or ():
            for other in self.pods:
                if "ipBlock" not in peer and _is_peer(peer, other, pod.namespace):
                    yield other

    def _blocks(self, chain: str, kind: str, policy: Object) -> Iterator[str]:
        """Yield the rules for networks; each has a chain that lets its exceptions return."""
        way, far = ("to", "-d") if kind == "Egress" else ("from", "-s")
        for rule in policy["spec"].get(kind.lower()) or ():
            blocks = [peer["ipBlock"] for peer in rule.get(way) or () if "ipBlock" in peer]
            for block in blocks:
                if ":" in block["cidr"]:
                    continue
                inner = self._chain("Block")
                for port in _ports(rule.get("ports"), None):
                    yield f"-A {chain} {far} {block['cidr']}{port} -j {inner}"
                for excepted in block.get("except") or ():
                    yield f"-A {inner} {far} {excepted} -j RETURN"
                yield f"-A {inner} {_LET_IN}"

    def _chain(self, kind: str) -> str:
        name = f"{kind}-{next(self._numbers)}"
        self._chains.append(name)
        return name


def _match_far(peer: Address | None, kind: str) -> str:
    if peer is None:
        return ""
    return f" {'-d' if kind == 'Egress' else '-s'} {peer.ip}"


def _ports(entries: Sequence[Object] | None, owner: Address | None) -> Iterator[str]:
    """Yield the matches of the *entries*; a name is that of a port of *owner*."""
    if not entries:
        yield ""
    for entry in entries or ():
        protocol, port = entry.get("protocol", "TCP").lower(), entry.get("port")
        if isinstance(port, str):
            port = owner.named_ports.get(port) if owner else None
            if port is None:
                continue
        number = "" if port is None else f" --dport {port}:{entry.get('endPort', port)}"
        yield f" -p {protocol}{number}"


def _is_peer(peer: Object, other: Address, namespace: str) -> bool:
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        if not _has(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != namespace:
        return False
    return _has(peer.get("podSelector") or {}, other.labels)


def _selects(policy: Object, pod: Address, kind: str) -> bool:
    spec = policy["spec"]
    return (
        pod.namespace == policy["metadata"]["namespace"]
        and kind in spec["policyTypes"]
        and _has(spec["podSelector"], pod.labels)
    )


def _has(selector: Object, labels: Mapping[str, str]) -> bool:
    if selector.keys() - {"matchLabels"}:
        raise ValueError("the chart renders matchLabels alone; translate the rest, too")
    return (selector.get("matchLabels") or {}).items() <= labels.items()
