"""The places that a release's pods may call, or be called from, and the pods themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.chart.chart_engines import NAMESPACE
from tests.chart.reachability import Place, Policies, Port
from tests.chart.releases import Release, Workload

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_SILENT = (Port("TCP", 8443),)  # a job listens nowhere; one port shows that nobody could call it


@dataclass(frozen=True)
class World:
    """A release in its surroundings.

    Attributes:
        pods: One pod of each workload, by component.
        others: Everything else.
        ports: What answers at each place, by the place's name.
    """

    release: Release
    pods: tuple[Place, ...]
    others: tuple[Place, ...]
    ports: dict[str, tuple[Port, ...]]

    def allows(self, sender: Place, receiver: Place, port: Port) -> set[bool]:
        """Tell whether the connection passes, by both readings of what an `ipBlock` matches."""
        policies = self.release.of_kind("NetworkPolicy")
        return {
            Policies(policies, blocks_match_pods=reading).allow(sender, receiver, port)
            for reading in (True, False)
        }

    def connections(
        self, senders: tuple[Place, ...], receivers: tuple[Place, ...]
    ) -> Iterator[tuple[Place, Place, Port]]:
        """Yield every connection from one of *senders* to a port of another of *receivers*."""
        for receiver in receivers:
            for port in self.ports[receiver.name]:
                for sender in senders:
                    if sender != receiver:
                        yield sender, receiver, port


def world_around(release: Release) -> World:
    """Return *release* in the surroundings of world.yaml."""
    entries = yaml.safe_load(Path(__file__).with_name("world.yaml").read_text(encoding="utf-8"))
    others = tuple(
        Place(
            name=entry["name"],
            address=entry["address"],
            namespace=entry.get("namespace", ""),
            labels=entry.get("labels", {}),
            namespace_labels={
                **entry.get("namespace_labels", {}),
                _NAMESPACE_LABEL: entry.get("namespace", ""),
            },
        )
        for entry in entries
    )
    pods = tuple(_pod(index, workload) for index, workload in enumerate(release.workloads, 1))
    ports = {
        entry["name"]: tuple(
            Port(protocol, int(number))
            for protocol, number in (text.split() for text in entry.get("ports", ()))
        )
        for entry in entries
    }
    listening = {
        workload.component: tuple(Port("TCP", number) for number in workload.ports.values())
        for workload in release.workloads
    }
    return World(
        release, pods, others, ports | {name: found or _SILENT for name, found in listening.items()}
    )


def _pod(index: int, workload: Workload) -> Place:
    return Place(
        name=workload.component,
        address=f"10.244.20.{index}",
        namespace=NAMESPACE,
        labels=workload.labels,
        namespace_labels={_NAMESPACE_LABEL: NAMESPACE},
        named_ports={name: ("TCP", number) for name, number in workload.ports.items()},
    )
