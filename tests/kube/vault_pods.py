"""Three pods of OpenBao on raft."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import hvac
import requests

from tests.certs import Authority
from tests.kube.places import Address
from tests.kube.pod import Pod

NODES: Final = ("vault-0", "vault-1", "vault-2")
_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_ACTIVE, _STANDBY, _NOT_INITIALISED = 200, 429, 501
_DATA: Final = "/data"
_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


def service_url(node: str) -> str:
    """Return where pods find the API of *node*."""
    return f"https://{node}.vault.svc:8200"


class VaultPods:
    """The pods, each with a Service of its own."""

    def __init__(
        self,
        folder: Path,
        addresses: Mapping[str, Address],
        authority: Authority,
        make_pod: Callable[..., Pod],
        account: Path,
    ) -> None:
        """Describe the pods; *account* is the volume of their service account."""
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        folder.mkdir()
        self.ca_file.write_bytes(authority.pem)
        self._root_token = ""
        unseal_key = secrets.token_bytes(32)
        self._pods = {}
        program = Path(sys.executable).with_name("bao")
        for node in NODES:
            data = folder / node
            (data / "raft").mkdir(parents=True)
            pair = authority.issue(dns=[f"{node}.vault.svc", f"{node}.vault.svc.cluster.local"])
            files = {
                "tls.crt": pair.certificate,
                "tls.key": pair.key,
                "ca.crt": authority.pem,
                "unseal-key": unseal_key,
                "config.json": json.dumps(_config(node, addresses[node])).encode(),
            }
            for name, content in files.items():
                (data / name).write_bytes(content)
            pod = make_pod(
                addresses[node],
                [str(program), "server", f"-config={_DATA}/config.json"],
                files={_ACCOUNT: account},
                data={_DATA: data},
            )
            for path in data.rglob("*"):
                os.chown(path, pod.user, pod.group)
            self._pods[node] = pod

    def start(self) -> None:
        """Start all, and wait until they are one cluster with a leader."""
        first, *others = NODES
        self._pods[first].process.start()
        self._wait_until(lambda: self._health(first) == _NOT_INITIALISED)
        init = {"recovery_shares": 1, "recovery_threshold": 1}
        answer = self.client(first).write_data("sys/init", data=init)
        assert isinstance(answer, dict)
        self._root_token = answer["root_token"]
        self._wait_until(lambda: self._health(first) == _ACTIVE)
        # By default a node has to be well for ten seconds before it gets a vote.
        autopilot = {"server_stabilization_time": "1s"}
        self.client(first).write_data("sys/storage/raft/autopilot/configuration", data=autopilot)
        for node in others:
            self._pods[node].process.start()
        self._wait_until(lambda: self._voters() == len(NODES))
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until one node leads and the others follow."""
        whole = [_ACTIVE, _STANDBY, _STANDBY]
        self._wait_until(lambda: sorted(self._health(node) for node in NODES) == whole)

    def leader(self) -> str:
        """Return which node leads, once one does."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [node for node in NODES if self._health(node) == _ACTIVE]
            return len(found) == 1

        self._wait_until(look)
        return found[0]

    def kill(self, node: str) -> None:
        """End *node* without a chance to tidy up."""
        process = self._pods[node].process
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stop(0)

    def restart(self, node: str) -> None:
        """Start *node* again, and wait until all are one cluster."""
        self._pods[node].process.start()
        self.wait_until_whole()

    def stop(self) -> None:
        """End all."""
        for pod in self._pods.values():
            pod.process.stop(0)

    def client(self, node: str | None = None, *, token: str | None = None) -> hvac.Client:
        """Return a client of *node*, or of the leader; with the root token by default."""
        client = hvac.Client(
            url=f"https://{node or self.leader()}.vault.svc.cluster.local:8200",
            token=self._root_token if token is None else token,
            verify=str(self.ca_file),
            timeout=15,
        )
        client.session.trust_env = False
        return client

    def audit_logs(self) -> list[Path]:
        """Return the audit log of each node."""
        return [self._folder / node / "audit.log" for node in NODES]

    def _voters(self) -> int:
        try:
            answer: Any = self.client(NODES[0]).read("sys/storage/raft/configuration")
        except (hvac.exceptions.VaultError, OSError):
            return 0
        return sum(server["voter"] for server in answer["data"]["config"]["servers"])

    def _health(self, node: str) -> int:
        client = self.client(node)
        try:
            url = f"{client.url}/v1/sys/health"
            return int(client.session.get(url, timeout=1, verify=str(self.ca_file)).status_code)
        except requests.RequestException:
            return 0

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        give_up = time.monotonic() + _READY_SECONDS
        while not is_so():
            if time.monotonic() > give_up:
                logs = "\n".join(
                    pod.process.log_tail() for pod in self._pods.values() if pod.log_file.exists()
                )
                raise TimeoutError(f"the Vault pods did not come to it:\n{logs}")
            time.sleep(_POLL_SECONDS)


def _config(node: str, address: Address) -> dict[str, Any]:
    others = [service_url(other) for other in NODES if other != node]
    joining = [
        {"leader_api_addr": other, "leader_ca_cert_file": f"{_DATA}/ca.crt"} for other in others
    ]
    audit = {
        "description": "every request and response of this node",
        "options": {"file_path": f"{_DATA}/audit.log", "mode": "0600"},
    }
    return {
        "ui": False,
        "api_addr": service_url(node),
        "cluster_addr": f"https://{address.ip}:8201",
        "listener": [
            {
                "tcp": {
                    "address": "0.0.0.0:8200",
                    "cluster_address": "0.0.0.0:8201",
                    "tls_cert_file": f"{_DATA}/tls.crt",
                    "tls_key_file": f"{_DATA}/tls.key",
                }
            }
        ],
        "storage": {
            "raft": {
                "path": f"{_DATA}/raft",
                "node_id": node,
                # The first is initialised, so it has nobody to join.
                **({"retry_join": joining} if node != NODES[0] else {}),
            }
        },
        "seal": {
            "static": {
                "current_key_id": "test-1",
                "current_key": f"file://{_DATA}/unseal-key",
            }
        },
        "audit": [{"file": {"file": audit}}],
    }
