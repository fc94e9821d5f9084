"""Where the pods of a test cluster are, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Address:
    """A pod, or a host that is none.

    Attributes:
        name: Its name, also that of its network namespace.
        ip: Its IPv4 address.
        namespace: That of the pod; empty for a host.
        labels: Those of the pod.
        namespace_labels: Those of its namespace.
        named_ports: Ports of the pod's container.
    """

    name: str
    ip: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    named_ports: Mapping[str, int] = field(default_factory=dict)


def pod_at(
    name: str, ip: str, namespace: str, labels: Mapping[str, str], **more: Mapping[str, str]
) -> Address:
    """Return a pod in a namespace that has the label with its own name, as all have."""
    own = {NAMESPACE_LABEL: namespace}
    return Address(name, ip, namespace, labels, own | dict(more.get("namespace_labels", {})))
