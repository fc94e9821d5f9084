"""Three nodes of OpenBao on raft, which can be killed, stopped, sealed and cut off one by one."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac

from keyturn_cli.local.child_process import ChildProcess
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.listener_certificate import ensure_listener_certificate
from keyturn_cli.local.private_file import write_private_file
from svc_runtime.clock import SystemClock
from tests.cluster.links import Links
from tests.cluster.node_config import NodePorts, node_config
from tests.suspension import suspended

NODES = ("a", "b", "c")
_READY_SECONDS = 30.0
_ACTIVE, _STANDBY, _SEALED, _NOT_INITIALISED = 200, 429, 503, 501
_POLL_SECONDS = 0.05


class RaftCluster:
    """Three nodes. Peers and clients reach a node through `Links` only.

    A `VaultServer` for the local stack: its address is the first node's, and the others stand by.
    """

    def __init__(self, home: Path, run_dir: Path) -> None:
        """Describe the cluster; nothing runs yet."""
        self._home = home
        self._certificate = ensure_listener_certificate(home / "tls", SystemClock())
        ports = free_ports(4 * len(NODES))
        self._api, self._raft, self._api_way, self._raft_way = (
            dict(zip(NODES, ports[i * 3 : i * 3 + 3], strict=True)) for i in range(4)
        )
        self._children = {node: self._child(node, run_dir) for node in NODES}
        self._links = Links({node: child.pid_file for node, child in self._children.items()})
        self.ca_file = home / "tls" / "ca.pem"
        self.root_token_file = home / "root-token"
        self.address = self.address_of(NODES[0])
        self.standby_addresses: Sequence[str] = tuple(self.address_of(node) for node in NODES[1:])

    @property
    def pids(self) -> dict[str, int]:
        """The process of each node that runs."""
        running = {node: child.pid for node, child in self._children.items()}
        return {node: pid for node, pid in running.items() if pid is not None}

    @property
    def pid(self) -> int | None:
        """The process of some node."""
        return next(iter(self.pids.values()), None)

    def address_of(self, node: str) -> str:
        """Return the URL of *node*'s API, for peers and clients."""
        return f"https://127.0.0.1:{self._api_way[node]}"

    @property
    def audit_log(self) -> Path:
        """The audit log of the node that leads; each node writes its own."""
        return self.audit_log_of(self.leader())

    def audit_log_of(self, node: str) -> Path:
        """Return the audit log of *node*."""
        return self._home / node / "audit.log"

    def start(self) -> None:
        """Start all nodes, and wait until they are one cluster with a leader."""
        self._links.start(
            {self._api_way[node]: (node, self._api[node]) for node in NODES}
            | {self._raft_way[node]: (node, self._raft[node]) for node in NODES}
        )
        first, *others = NODES
        unseal_key = secrets.token_bytes(32)
        for node in NODES:
            folder = self._home / node
            (folder / "raft").mkdir(mode=0o700, parents=True)
            write_private_file(folder / "unseal-key", unseal_key)
            write_private_file(folder / "config.json", json.dumps(self._config(node)).encode())
        self._run(first, {_NOT_INITIALISED})
        status, answer = self._ask(
            first, "PUT", "/v1/sys/init", {"recovery_shares": 1, "recovery_threshold": 1}
        )
        assert status == http.client.OK
        write_private_file(self.root_token_file, answer["root_token"].encode())
        # A node that was just initialised would undo a seal for some seconds.
        self._children[first].stop(grace_seconds=0)
        self._run(first, {_ACTIVE})
        # By default a node has to be well for ten seconds before it gets a vote.
        self.client(first).write_data(
            "sys/storage/raft/autopilot/configuration", data={"server_stabilization_time": "1s"}
        )
        for node in others:
            self._children[node].start()
        for node in others:
            self._await_state(node, {_ACTIVE, _STANDBY})
        self.wait_until(lambda: len(self._voters()) == len(NODES))
        self.wait_until_whole()

    def stop(self) -> None:
        """Stop all nodes, and take the wires down."""
        for node, pid in self.pids.items():
            os.kill(pid, signal.SIGCONT)
            self._children[node].stop(grace_seconds=0)
        self._links.stop()

    def client(self, node: str | None = None) -> hvac.Client:
        """Return a client with the root token, of *node* or of the one that leads."""
        client = hvac.Client(
            url=f"https://127.0.0.1:{self._api[node or self.leader()]}",
            token=self.root_token_file.read_text(),
            verify=str(self.ca_file),
            timeout=15,
        )
        client.session.trust_env = False
        return client

    def leader(self) -> str:
        """Return which node leads, once one does."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [node for node in self.pids if self._health(node) == _ACTIVE]
            return len(found) == 1

        self.wait_until(look)
        return found[0]

    def states(self) -> dict[str, int | None]:
        """Return what each node says of its health, as an HTTP status; None for nothing."""
        return {node: self._health(node) for node in NODES}

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until *is_so*, for at most half a minute.

        Raises:
            TimeoutError: It does not come to that.
        """
        give_up = time.monotonic() + _READY_SECONDS
        while not is_so():
            if time.monotonic() >= give_up:
                raise TimeoutError("the cluster did not come to it")
            time.sleep(_POLL_SECONDS)

    def wait_until_whole(self) -> None:
        """Wait until one node leads and the others follow."""
        self.wait_until(
            lambda: (
                sorted(self._health(node) or 0 for node in NODES) == [_ACTIVE, _STANDBY, _STANDBY]
            )
        )

    def kill(self, node: str) -> None:
        """End *node* without a chance to tidy up."""
        os.kill(self.pids[node], signal.SIGKILL)
        self._children[node].wait(10)

    def restart(self, node: str) -> None:
        """Start *node* again, whatever state it was in, and wait until it serves."""
        if node in self.pids:
            self._children[node].stop(grace_seconds=0)
        self._run(node, {_ACTIVE, _STANDBY})

    def hand_over(self) -> None:
        """Let the leader step down, and wait for the next."""
        leader = self.leader()
        self.client(leader).write_data("sys/step-down", data={})
        self.wait_until(lambda: self.leader() != leader)

    def save_snapshot(self) -> bytes:
        """Return the whole of the storage, as a backup has it."""
        return bytes(self.client().sys.take_raft_snapshot().content)

    def restore_snapshot(self, snapshot: bytes) -> None:
        """Put the storage back to what it was, and wait until the cluster serves."""
        self.client().sys.restore_raft_snapshot(snapshot)
        self.wait_until_whole()

    def seal(self, node: str) -> None:
        """Seal *node*; `restart` unseals it."""
        self.client(node).sys.seal()

    @contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        """Let *node* hold its connections and do nothing, as behind a disk that hangs."""
        with suspended(self.pids[node]):
            yield

    @contextmanager
    def cut_off(self, node: str, *, is_for_clients: bool = True) -> Iterator[None]:
        """Cut *node* off from its peers, and from its clients unless not for them."""
        self._links.cut(node, is_for_clients=is_for_clients)
        try:
            yield
        finally:
            self._links.mend(node)

    @contextmanager
    def unwritable_audit_log(self, node: str) -> Iterator[None]:
        """Let *node* be unable to write its audit log."""
        log = self.audit_log_of(node)
        aside = log.with_suffix(".aside")
        log.rename(aside)
        log.mkdir()
        os.kill(self.pids[node], signal.SIGHUP)  # opens the log anew
        try:
            yield
        finally:
            log.rmdir()
            aside.rename(log)
            if node in self.pids:
                os.kill(self.pids[node], signal.SIGHUP)

    def _run(self, node: str, states: set[int]) -> None:
        self._children[node].start()
        self._await_state(node, states)

    def _await_state(self, node: str, states: set[int]) -> None:
        self._children[node].wait_until_ready(lambda: self._health(node) in states, _READY_SECONDS)

    def _voters(self) -> list[str]:
        try:
            config = self.client().read("sys/storage/raft/configuration")["data"]["config"]
        except (hvac.exceptions.VaultError, OSError):
            return []
        return [server["node_id"] for server in config["servers"] if server["voter"]]

    def _health(self, node: str) -> int | None:
        try:
            return self._ask(node, "GET", "/v1/sys/health", timeout=1.0)[0]
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def _ask(
        self,
        node: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout: float = 15.0,
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self._api[node],
            timeout=timeout,
            context=ssl.create_default_context(cafile=str(self.ca_file)),
        )
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def _child(self, node: str, run_dir: Path) -> ChildProcess:
        folder = self._home / node
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = shutil.which(Path(sys.executable).with_name("bao"))
        assert program is not None
        return ChildProcess(
            f"openbao-{node}",
            [program, "server", f"-config={folder / 'config.json'}"],
            run_dir=run_dir,
            log_file=folder / "openbao.log",
            working_dir=folder,
        )

    def _config(self, node: str) -> dict[str, Any]:
        others = [self.address_of(peer) for peer in NODES if peer != node]
        return node_config(
            self._home / node,
            self._certificate,
            NodePorts(self._api[node], self._raft[node], self._api_way[node], self._raft_way[node]),
            peers=[] if node == NODES[0] else others,
        )
