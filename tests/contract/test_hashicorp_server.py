"""What of the HashiCorp fixture needs no container engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import pytest

from keyturn_cli.local.child_process import ChildProcess
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.listener_certificate import ensure_listener_certificate
from svc_runtime.clock import SystemClock
from tests.contract.hashicorp_server import NO_ENGINE, VERSIONS, initialise, local_config

_ROOT = Path(__file__).resolve().parents[2]
_BAO = Path(sys.executable).with_name("bao")


@contextmanager
def _running(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run OpenBao with the container's configuration, and yield its address and its CA."""
    port, cluster_port = free_ports(2)
    certificate = ensure_listener_certificate(folder / "tls", SystemClock())
    (folder / "raft").mkdir()
    config = local_config(
        str(certificate.certificate_file), str(certificate.key_file), str(folder / "raft")
    )
    text = json.dumps(config)
    for there, here in (("8200", port), ("8201", cluster_port), ("0.0.0.0", "127.0.0.1")):  # noqa: S104 - it is taken out
        text = text.replace(there, str(here))
    (folder / "config.json").write_text(text)
    server = ChildProcess(
        "openbao",
        [str(_BAO), "server", f"-config={folder / 'config.json'}"],
        run_dir=folder / "run",
        log_file=folder / "openbao.log",
        working_dir=folder,
    )
    server.start()
    try:
        yield f"https://127.0.0.1:{port}", certificate.ca_file
    finally:
        server.stop()


def test_a_server_of_the_containers_configuration_is_initialised_by_its_api(
    tmp_path: Path,
) -> None:
    with _running(tmp_path) as (address, ca_file):
        token = initialise(address, ca_file)
        client = hvac.Client(url=address, token=token, verify=str(ca_file))

        assert client.is_authenticated()
        assert client.sys.read_seal_status()["storage_type"] == "raft"


def test_without_an_engine_the_tests_that_need_one_refuse_to_begin(tmp_path: Path) -> None:
    run = _pytest("-m", "hashicorp", DOCKER_HOST=f"unix://{tmp_path / 'nobody'}")

    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stderr.strip() == f"ERROR: {NO_ENGINE}"


def test_a_run_that_asks_for_nothing_leaves_them_out() -> None:
    collected = _pytest("--collect-only", "-q").stdout

    assert "[openbao]" in collected
    assert "[hashicorp-" not in collected


def test_they_are_run_on_each_version() -> None:
    collected = _pytest("--collect-only", "-q", "-m", "hashicorp").stdout

    assert "[openbao]" not in collected
    assert all(f"test_a_missing_path_is_not_found[hashicorp-{v}]" in collected for v in VERSIONS)


def _pytest(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        [*command, "tests/contract/test_errors.py"],
        cwd=_ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
