"""The OpenBao of the local stack: configured, initialised, unsealed, and stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hvac  # for `client()` only: tests and diagnosis with the root token

from keyturn_cli.local.child_process import DEFAULT_GRACE_SECONDS, ChildProcess
from keyturn_cli.local.errors import (
    LocalStackError,
    PortTakenError,
    ProgramNotFoundError,
    StateDamagedError,
)
from keyturn_cli.local.free_ports import is_port_free
from keyturn_cli.local.listener_certificate import ensure_listener_certificate
from keyturn_cli.local.private_file import write_private_file
from svc_runtime.clock import Clock, SystemClock

NAME = "openbao"
_HOST = "127.0.0.1"
_UNSEAL_KEY_BYTES = 32  # what OpenBao's static seal asks for: an AES-256 key
_READY_TIMEOUT_SECONDS = 30.0
_REQUEST_TIMEOUT_SECONDS = 15.0  # initialisation waits for a raft election of 1 to 2 seconds
_AUDIT_LOG = "audit.log"
# OpenBao refuses to change a device that its data knows, so this must stay as it is. The path is
# relative to the working directory, so that the folder can be moved. The description is needed:
# a block of one entry is parsed as if that entry were the block.
_AUDIT_DEVICE = {
    "description": "every request and response of the local stack",
    "options": {"file_path": _AUDIT_LOG, "mode": "0600"},
}

# Answers of `GET sys/health`, from OpenBao's API documentation.
_HEALTH_ACTIVE = 200
_HEALTH_NOT_INITIALISED = 501


class OpenBaoServer:
    """One OpenBao with raft storage, whose data outlives its process.

    It unseals itself with a key file that lies beside the data: good for one person's
    machine, where both have the same owner, and for nothing else.

    Attributes:
        address: URL of its API.
        standby_addresses: None: it is a node without others.
        ca_file: What a client must trust to call it.
        audit_log: One JSON object per line; secrets are HMACed.
        root_token_file: The root token, mode 0600; there after the first start.
    """

    def __init__(
        self,
        home: Path,
        run_dir: Path,
        *,
        port: int,
        cluster_port: int,
        clock: Clock | None = None,
    ) -> None:
        """Describe the server; nothing runs yet, and nothing is written.

        Args:
            home: Folder of its data, keys and logs; made if missing. It may be moved while
                the server is stopped.
            run_dir: Folder of the pid files.
            port: Port of the API, on 127.0.0.1. May differ from start to start.
            cluster_port: Port of raft, on 127.0.0.1. Likewise.
            clock: Decides the validity of the listener's certificate.
        """
        self._home = home.absolute()
        self._ports = (port, cluster_port)
        self._clock = clock or SystemClock()
        self._child = ChildProcess(
            NAME,
            [_bao(), "server", f"-config={self._home / 'config.json'}"],
            run_dir=run_dir,
            log_file=self._home / "openbao.log",
            working_dir=self._home,
        )
        self.address = f"https://{_HOST}:{port}"
        self.standby_addresses: Sequence[str] = ()
        self.ca_file = self._home / "tls" / "ca.pem"
        self.audit_log = self._home / _AUDIT_LOG
        self.root_token_file = self._home / "root-token"

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return self._child.pid

    def start(self) -> None:
        """Start the server and wait until it is unsealed and active.

        The first start initialises it and stores the root token and the recovery key. After
        an error nothing runs.

        Raises:
            PortTakenError: Something listens on one of its ports.
            AlreadyRunningError: The server of an earlier run still runs.
            ChildDiedError: It ended at start; carries the last lines of its log.
            ChildNotReadyError: It did not get ready in time; carries them too.
            StateDamagedError: Its data is there, and its unseal key or root token is not.
        """
        self._child.refuse_if_recorded()
        for port in self._ports:
            if not is_port_free(port):
                raise PortTakenError(NAME, port)
        self._write_files()
        self._child.start()
        try:
            self._bring_up()
        except BaseException:
            self._child.stop()
            raise

    def stop(self, grace_seconds: float = DEFAULT_GRACE_SECONDS) -> None:
        """Stop the server; harmless if it does not run."""
        self._child.stop(grace_seconds)

    def client(self) -> hvac.Client:
        """Return a new client that holds the root token."""
        client = hvac.Client(
            url=self.address,
            token=self.root_token_file.read_text(),
            verify=str(self.ca_file),
            timeout=_REQUEST_TIMEOUT_SECONDS,
        )
        client.session.trust_env = False  # the way to loopback leads through nobody's proxy
        return client

    def _bring_up(self) -> None:
        self._child.wait_until_ready(
            lambda: self._health() in {_HEALTH_ACTIVE, _HEALTH_NOT_INITIALISED},
            _READY_TIMEOUT_SECONDS,
        )
        if self._health() == _HEALTH_NOT_INITIALISED:
            self._initialise()
            # A process that began without data tries to unseal itself once more, up to 5 seconds
            # later, and would undo a seal until then; the next one does not. Raft's files survive
            # SIGKILL, and an orderly end would take a second.
            self._child.stop(grace_seconds=0)
            self._child.start()
        elif not self.root_token_file.exists():
            raise StateDamagedError(NAME, self.root_token_file)
        self._child.wait_until_ready(
            lambda: self._health() == _HEALTH_ACTIVE, _READY_TIMEOUT_SECONDS
        )

    def _write_files(self) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        storage = self._home / "raft"
        unseal_key_file = self._home / "unseal-key"
        if not unseal_key_file.exists():
            if storage.exists():
                # A new key would start a server that can never read its data.
                raise StateDamagedError(NAME, unseal_key_file)
            write_private_file(unseal_key_file, secrets.token_bytes(_UNSEAL_KEY_BYTES))
        storage.mkdir(mode=0o700, exist_ok=True)
        config = self._config(storage, unseal_key_file)
        write_private_file(self._home / "config.json", json.dumps(config, indent=2).encode())

    def _config(self, storage: Path, unseal_key_file: Path) -> dict[str, Any]:
        port, cluster_port = self._ports
        certificate = ensure_listener_certificate(self.ca_file.parent, self._clock)
        return {
            "ui": False,
            "cluster_name": "keyturn-local",
            "api_addr": self.address,
            "cluster_addr": f"https://{_HOST}:{cluster_port}",
            "listener": [
                {
                    "tcp": {
                        "address": f"{_HOST}:{port}",
                        "cluster_address": f"{_HOST}:{cluster_port}",
                        "tls_cert_file": str(certificate.certificate_file),
                        "tls_key_file": str(certificate.key_file),
                        "tls_min_version": "tls13",
                    }
                }
            ],
            # The multiplier shortens the election that a lone node waits for: 2 seconds, not 6.
            "storage": {
                "raft": {"path": str(storage), "node_id": "local", "performance_multiplier": 1}
            },
            "seal": {
                "static": {
                    "current_key_id": "local-1",
                    "current_key": f"file://{unseal_key_file}",  # not a URI: no escapes
                }
            },
            "audit": [{"file": {"file": _AUDIT_DEVICE}}],
        }

    def _initialise(self) -> None:
        status, answer = self._request(
            "PUT", "/v1/sys/init", {"recovery_shares": 1, "recovery_threshold": 1}
        )
        if status != http.client.OK:
            raise LocalStackError(f"{NAME}: refused to be initialised, with status {status}")
        write_private_file(self.root_token_file, answer["root_token"].encode())
        write_private_file(self._home / "recovery-key", answer["recovery_keys_base64"][0].encode())

    def _health(self) -> int | None:
        try:
            return self._request("GET", "/v1/sys/health")[0]
        except (OSError, http.client.HTTPException):
            return None  # it does not listen yet, or is ending

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            _HOST,
            self._ports[0],
            timeout=_REQUEST_TIMEOUT_SECONDS,
            context=ssl.create_default_context(cafile=str(self.ca_file)),
        )
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())


def _bao() -> str:
    beside_python = Path(sys.executable).with_name("bao")
    found = shutil.which(beside_python) or shutil.which("bao")
    if found is None:
        raise ProgramNotFoundError("bao")
    return found
