"""How services start and end where Vault, or the certificate, comes later than they do."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # ships none

from svc_runtime.tls_files import TLSFiles
from tests.certs import Authority, write
from tests.integration.service_process import (
    READY,
    SERVICES,
    command,
    serving,
    settings_file,
    tls_files,
)

CA = Authority("starts")
SERVICE = pytest.mark.parametrize("service", SERVICES)
STATUS = health_pb2.HealthCheckResponse
WAIT = ("--wait", "2")


def _certify(folder: Path, service: str) -> TLSFiles:
    name = service.replace("_", "-")
    pair = CA.issue(dns=[name, "localhost"], uris=[f"spiffe://keyturn.test/{name}"])
    return write(folder, pair, CA.pem)


def _health(address: str, service_name: str) -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service_name)
        return int(stub.Check(request, timeout=20, wait_for_ready=True).status)


@SERVICE
def test_a_start_without_vault_is_alive_and_not_ready(tmp_path: Path, service: str) -> None:
    config, health_port = settings_file(tmp_path, service)
    _certify(tmp_path, service)

    with serving(service, config, health_port) as process:
        process.until_logged("serving")
        address = f"127.0.0.1:{health_port}"
        found = _health(address, ""), _health(address, READY[service])
        asked = subprocess.run(
            command("keyvault_svc", "check-health", address, f"{address}/{READY[service]}", *WAIT),
            capture_output=True,
            text=True,
            check=False,
        )
        code = process.stopped()

    assert found == (STATUS.SERVING, STATUS.NOT_SERVING)
    assert asked.stdout == f"{address}: serving\n{address}/{READY[service]}: not serving\n"
    assert (asked.returncode, code) == (1, 0)


@SERVICE
def test_a_certificate_that_comes_late_is_waited_for(tmp_path: Path, service: str) -> None:
    config, health_port = settings_file(tmp_path, service, wait=100)

    with serving(service, config, health_port) as process:
        awaited = process.until_logged("certificate_awaited")
        alive = _health(f"127.0.0.1:{health_port}", "")
        _certify(tmp_path, service)
        process.until_logged("serving")
        code = process.stopped()

    assert awaited["path"] == str(tls_files(tmp_path).certificate)
    assert (alive, code) == (STATUS.SERVING, 0)


@SERVICE
def test_a_service_that_is_told_to_stop_during_its_start_ends_well(
    tmp_path: Path, service: str
) -> None:
    config, health_port = settings_file(tmp_path, service, wait=100)

    with serving(service, config, health_port) as process:
        process.until_logged("certificate_awaited")

        assert process.stopped() == 0


@SERVICE
def test_missing_certificates_end_a_start_that_does_not_wait(tmp_path: Path, service: str) -> None:
    config, _ = settings_file(tmp_path, service)

    ended = subprocess.run(
        command(service, "serve", "--config", str(config)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.endswith("tls.pem: No such file or directory\n")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
@SERVICE
def test_all_addresses_of_both_families_are_listened_on(tmp_path: Path, service: str) -> None:
    config, health_port = settings_file(tmp_path, service, host="[::]")
    _certify(tmp_path, service)

    with serving(service, config, health_port) as process:
        process.until_logged("serving")
        ports = [health_port, *_ports_in(config)]
        for host in ("127.0.0.1", "::1"):
            for port in ports:
                socket.create_connection((host, port), timeout=20).close()

        assert process.stopped() == 0


@SERVICE
def test_a_settings_file_is_checked_without_asking_anybody(tmp_path: Path, service: str) -> None:
    config, _ = settings_file(tmp_path, service)
    good = _checked(service, config)
    config.write_text(f"surplus = 1\n{config.read_text(encoding='utf-8')}", encoding="utf-8")
    bad = _checked(service, config)

    assert (good.returncode, good.stdout) == (0, f"{config}: the settings can be used\n")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "surplus: Extra inputs are not permitted" in bad.stderr


def _checked(service: str, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(service, "check-settings", "--config", str(config)),
        capture_output=True,
        text=True,
        check=False,
    )


def _ports_in(config: Path) -> list[int]:
    lines = config.read_text(encoding="utf-8").splitlines()
    return [int(line.rpartition(":")[2].strip('"')) for line in lines if "_address = " in line]
