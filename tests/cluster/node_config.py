"""The configuration of one node of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn_cli.local.listener_certificate import ListenerCertificate


@dataclass(frozen=True)
class NodePorts:
    """Ports of 127.0.0.1: where a node listens, and where others reach it."""

    api: int
    raft: int
    api_way: int
    raft_way: int


def node_config(
    folder: Path, certificate: ListenerCertificate, ports: NodePorts, *, peers: Sequence[str]
) -> dict[str, Any]:
    """Return the configuration of the node in *folder*, which joins one of *peers*, if any."""
    joining = [
        {"leader_api_addr": peer, "leader_ca_cert_file": str(folder.parent / "tls" / "ca.pem")}
        for peer in peers
    ]
    audit_device = {
        "description": "every request and response of this node",
        "options": {"file_path": "audit.log", "mode": "0600"},
    }
    return {
        "ui": False,
        # OpenBao's default: a standby answers reads itself, with older state than the leader's.
        "disable_standby_reads": False,
        "api_addr": f"https://127.0.0.1:{ports.api_way}",
        "cluster_addr": f"https://127.0.0.1:{ports.raft_way}",
        "listener": [
            {
                "tcp": {
                    "address": f"127.0.0.1:{ports.api}",
                    "cluster_address": f"127.0.0.1:{ports.raft}",
                    "tls_cert_file": str(certificate.certificate_file),
                    "tls_key_file": str(certificate.key_file),
                }
            }
        ],
        "storage": {
            "raft": {
                "path": str(folder / "raft"),
                "node_id": folder.name,
                "performance_multiplier": 1,
                # By default a node that joined waits for its vote for up to ten seconds.
                "autopilot_reconcile_interval": "500ms",
                "autopilot_update_interval": "500ms",
                **({"retry_join": joining} if joining else {}),
            }
        },
        "seal": {
            "static": {
                "current_key_id": "test-1",
                "current_key": f"file://{folder / 'unseal-key'}",
            }
        },
        "audit": [{"file": {"file": audit_device}}],
    }
