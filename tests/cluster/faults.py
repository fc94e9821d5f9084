"""What happens to a cluster, and to its clients' tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.cluster.raft_cluster import RaftCluster


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        strike: Lasts as long as its context does, and is made good at its end.
        is_survived: Whether two of three nodes go on, so that calls are served again before it is
            made good. Otherwise recovery is measured from then on.
    """

    strike: Callable[[RaftCluster], AbstractContextManager[None]]
    is_survived: bool = True


@contextmanager
def _leader_killed(cluster: RaftCluster) -> Iterator[None]:
    leader = cluster.leader()
    cluster.kill(leader)
    try:
        yield
    finally:
        cluster.restart(leader)


@contextmanager
def _leader_sealed(cluster: RaftCluster) -> Iterator[None]:
    leader = cluster.leader()
    cluster.seal(leader)
    try:
        yield
    finally:
        cluster.restart(leader)


def _leader_cut_off(cluster: RaftCluster) -> AbstractContextManager[None]:
    return cluster.cut_off(cluster.leader())


def _leader_without_peers(cluster: RaftCluster) -> AbstractContextManager[None]:
    return cluster.cut_off(cluster.leader(), is_for_clients=False)


def _leader_stopped(cluster: RaftCluster) -> AbstractContextManager[None]:
    return cluster.frozen(cluster.leader())


@contextmanager
def _tokens_revoked(cluster: RaftCluster) -> Iterator[None]:
    cluster.client().sys.revoke_prefix("auth/keyturn-approle/login")
    yield


def _audit_blocked(cluster: RaftCluster) -> AbstractContextManager[None]:
    return cluster.unwritable_audit_log(cluster.leader())


FAULTS: Final[Mapping[str, Fault]] = {
    "leader killed": Fault(_leader_killed),
    "leader sealed": Fault(_leader_sealed),
    "leader cut off": Fault(_leader_cut_off),
    "leader without peers": Fault(_leader_without_peers),
    "leader stopped": Fault(_leader_stopped),
    "tokens revoked": Fault(_tokens_revoked),
    # A node that cannot audit stays the leader: nothing is served until it can.
    "audit blocked": Fault(_audit_blocked, is_survived=False),
}
