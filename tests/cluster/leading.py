"""What the nodes of a cluster say of who leads."""

from __future__ import annotations

from typing import Final

from tests.cluster.raft_cluster import NODES, RaftCluster

# A leader that loses its peers and is elected again says both; one that hung says neither, until
# it goes on, but its successor does.
_BEGINS: Final = b"acquired lock, enabling active operation"
_CEASES: Final = b"leadership lost, stopping active operation"


def turns(cluster: RaftCluster) -> int:
    """Return how often nodes have said that they began or ceased to lead."""
    logs = [cluster.audit_log_of(node).with_name("openbao.log").read_bytes() for node in NODES]
    return sum(log.count(_BEGINS) + log.count(_CEASES) for log in logs)
