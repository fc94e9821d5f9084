"""HashiCorp Vault as the contract meets it: a container, initialised and unsealed by its API."""

from __future__ import annotations

import gc
import json
import time
import warnings
from pathlib import Path
from typing import Any, Final

import hvac
import requests
from docker.errors import DockerException  # type: ignore[import-untyped]  # no stubs are locked
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from keyturn_cli.local.listener_certificate import ListenerCertificate, ensure_listener_certificate
from svc_runtime.clock import SystemClock

IMAGE: Final = "hashicorp/vault"
# A tag can be moved. Whoever has a registry pins each as `<tag>@sha256:<digest>`, as it has them.
VERSIONS: Final = ("1.20.4", "1.21.4")

NO_ENGINE: Final = (
    "No container engine answers, and these tests run HashiCorp Vault in one. "
    "Start Docker or Podman (for Podman, DOCKER_HOST names its socket), then run them again."
)

_API_PORT: Final = 8200
_CLUSTER_PORT: Final = 8201
# Folders that the image has, and that belong to the user that Vault runs as there.
_CONFIG_DIR: Final = "/vault/config"
_DATA_DIR: Final = "/vault/file"
_AUDIT_FILE: Final = "/vault/logs/audit.log"
_START_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1
_REQUEST_SECONDS: Final = 15.0

_ACTIVE: Final = 200
_NOT_INITIALISED: Final = 501


def is_engine_there() -> bool:
    """Tell whether a container engine answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a refused connection stays unclosed
        try:
            engine = DockerClient().client
            answers = bool(engine.ping())
            engine.close()
        except (DockerException, requests.RequestException):
            answers = False
        gc.collect()  # while the warning is off
    return answers


def local_config(certificate_file: str, key_file: str, data_dir: str) -> dict[str, Any]:
    """Return what `VAULT_LOCAL_CONFIG` says; the paths are those inside of the container."""
    return {
        "ui": False,
        "cluster_name": "keyturn-contract",
        "api_addr": f"https://127.0.0.1:{_API_PORT}",
        "cluster_addr": f"https://127.0.0.1:{_CLUSTER_PORT}",
        "disable_mlock": True,  # raft asks for a decision; without it the container needs IPC_LOCK
        "listener": [
            {
                "tcp": {
                    "address": f"0.0.0.0:{_API_PORT}",
                    "cluster_address": f"127.0.0.1:{_CLUSTER_PORT}",
                    "tls_cert_file": certificate_file,
                    "tls_key_file": key_file,
                    "tls_min_version": "tls12",
                }
            }
        ],
        "storage": {"raft": {"path": data_dir, "node_id": "contract", "performance_multiplier": 1}},
    }


def container_of(image: str, certificate: ListenerCertificate) -> DockerContainer:
    """Return the container of *image*, not started.

    Raises:
        DockerException: No container engine answers.
    """
    certificate_file, key_file = f"{_CONFIG_DIR}/listener.pem", f"{_CONFIG_DIR}/listener-key.pem"
    config = local_config(certificate_file, key_file, _DATA_DIR)
    return (
        DockerContainer(image)
        .with_command("server")
        .with_env("VAULT_LOCAL_CONFIG", json.dumps(config))
        .with_env("SKIP_SETCAP", "1")
        .with_exposed_ports(_API_PORT)
        .with_copy_into_container(certificate.certificate_file, certificate_file)
        .with_copy_into_container(certificate.key_file, key_file)
    )


def initialise(address: str, ca_file: Path) -> str:
    """Initialise and unseal a fresh server, wait until it serves, and return the root token.

    Raises:
        TimeoutError: It did not get so far within a minute.
    """
    client = _client(address, ca_file, None)
    _wait_for(address, ca_file, _NOT_INITIALISED)
    answer = client.sys.initialize(secret_shares=1, secret_threshold=1)
    client.sys.submit_unseal_key(answer["keys_base64"][0])
    _wait_for(address, ca_file, _ACTIVE)
    return str(answer["root_token"])


class HashiCorpUnderContract:
    """`ContractServer` on a container of `IMAGE`. The engine must publish ports on this machine."""

    audit_file: str | None = _AUDIT_FILE

    def __init__(self, version: str, folder: Path) -> None:
        """Start it, with its certificate in *folder*."""
        certificate = ensure_listener_certificate(folder / "tls", SystemClock())
        self.ca_file = certificate.ca_file
        self._container = container_of(f"{IMAGE}:{version}", certificate)
        try:
            self._container.start()
            port = self._container.get_exposed_port(_API_PORT)
            self.address = f"https://127.0.0.1:{port}"  # which the certificate is for
            self._root_token = initialise(self.address, self.ca_file)
        except BaseException:
            self._container.stop()
            raise

    def client(self) -> hvac.Client:
        """Return a new client that holds the root token."""
        return _client(self.address, self.ca_file, self._root_token)

    def audit_text(self) -> str:
        """Return its audit log, out of the container."""
        return self._container.exec(["cat", _AUDIT_FILE]).output.decode()

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


def _client(address: str, ca_file: Path, token: str | None) -> hvac.Client:
    client = hvac.Client(url=address, token=token, verify=str(ca_file), timeout=_REQUEST_SECONDS)
    client.session.trust_env = False
    return client


def _wait_for(address: str, ca_file: Path, status: int) -> None:
    """Wait until `sys/health` answers *status*."""
    give_up = time.monotonic() + _START_SECONDS
    last: object = None
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < give_up:
            try:
                last = session.get(
                    f"{address}/v1/sys/health", verify=str(ca_file), timeout=_REQUEST_SECONDS
                ).status_code
            except requests.RequestException as error:
                last = type(error).__name__
            if last == status:
                return
            time.sleep(_PAUSE_SECONDS)
    raise TimeoutError(f"sys/health answers {last}, not {status}")
