"""A stack on a cluster, with keys that serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.cluster.raft_cluster import RaftCluster
from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey


@dataclass(frozen=True)
class Scene:
    """What a cell is played on.

    Attributes:
        cluster: Three nodes.
        clients: Of two key services and two gateways that use it.
        keys: Keys of alice's, granted to the demo app.
        revocable: Another one, which each cell grants and revokes.
    """

    cluster: RaftCluster
    clients: Clients
    keys: tuple[OwnedKey, ...]
    revocable: OwnedKey

    def epochs(self) -> dict[str, int]:
        """Return the versions of the transit key, as Vault tells them."""
        data: dict[str, Any] = self.cluster.client().read("keyturn-transit/keys/openai")["data"]
        return {name: data[name] for name in ("latest_version", "min_decryption_version")}

    def revision(self, key: str) -> int:
        """Return how often the record of *key* was written."""
        metadata = self.cluster.client().read(f"keyturn-kv/metadata/{key}")["data"]
        return int(metadata["current_version"])
