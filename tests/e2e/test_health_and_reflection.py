"""What anybody may ask: health on a port of its own; and what only callers may: reflection."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # ships none

from tests.e2e.clients import DEADLINE_SECONDS, Clients
from tests.e2e.stack_process import Outcome

BUF = Path(sys.executable).with_name("buf")
OWNER_SERVICES = [
    "keyturn.keyvault.v1.GrantRequestService",
    "keyturn.keyvault.v1.GrantService",
    "keyturn.keyvault.v1.KeyService",
    "keyturn.keyvault.v1.OperatorService",
    "keyturn.keyvault.v1.OwnerService",
    "keyturn.keyvault.v1.UsageService",
]
LEASE_SERVICE = "keyturn.keyvault.v1.KeyLeaseService"
LEASE_SERVICES = [
    LEASE_SERVICE,
    "keyturn.keyvault.v1.KeyVerificationService",
    "keyturn.keyvault.v1.ReconciliationService",
]
GATEWAY_SERVICES = [
    "keyturn.gateway.v1.AudioTranscriptionService",
    "keyturn.gateway.v1.ChatCompletionService",
    "keyturn.gateway.v1.EmbeddingService",
    "keyturn.gateway.v1.ModelService",
    "keyturn.gateway.v1.ModerationService",
    "keyturn.gateway.v1.PassThroughService",
    "keyturn.gateway.v1.ResponseService",
]


@pytest.mark.parametrize(
    ("process", "service"),
    [
        ("keyvault", ""),
        *(("keyvault", service) for service in (*OWNER_SERVICES, *LEASE_SERVICES)),
        ("gateway", ""),
        *(("gateway", service) for service in GATEWAY_SERVICES),
    ],
)
async def test_a_probe_without_identity_learns_that_a_service_serves(
    clients: Clients, process: str, service: str
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{clients.port(process, 'health')}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_SECONDS
        )

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("process", ["keyvault", "gateway"])
async def test_a_probe_learns_of_no_service_of_another_process(
    clients: Clients, process: str
) -> None:
    of_the_other = {"keyvault": GATEWAY_SERVICES[0], "gateway": LEASE_SERVICE}[process]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{clients.port(process, 'health')}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=of_the_other), timeout=DEADLINE_SECONDS
            )

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("process", ["keyvault", "gateway"])
def test_the_health_port_serves_nothing_else(clients: Clients, process: str) -> None:
    listed = _list_services(f"http://127.0.0.1:{clients.port(process, 'health')}")

    assert listed.exit_code != 0
    assert "unimplemented" in listed.stderr


def test_an_app_sees_the_gateway_s_services(clients: Clients) -> None:
    listed = _list_services(_url(clients, "gateway", "grpc"), *_as(clients, "app-demo"))

    assert (listed.exit_code, listed.stdout.split()) == (0, GATEWAY_SERVICES)


def test_a_gateway_sees_the_services_for_gateways_only(clients: Clients) -> None:
    listed = _list_services(_url(clients, "keyvault", "gateway"), *_as(clients, "gateway-svc"))

    assert (listed.exit_code, listed.stdout.split()) == (0, LEASE_SERVICES)


def test_an_owner_sees_the_owners_services_only(clients: Clients, tmp_path: Path) -> None:
    listed = _list_services(_url(clients, "keyvault", "owner"), *_as_owner(clients, tmp_path))

    assert (listed.exit_code, listed.stdout.split()) == (0, OWNER_SERVICES)


def test_a_method_is_described_to_an_owner_and_called_by_its_description(
    clients: Clients, tmp_path: Path
) -> None:
    url = f"{_url(clients, 'keyvault', 'owner')}/{'keyturn.keyvault.v1.KeyService'}/ListKeys"

    called = _buf(
        *("--timeout", "10s", "-d", '{"parent": "users/alice"}'),
        *_as_owner(clients, tmp_path),
        url,
    )

    assert called.exit_code == 0, called.stderr
    assert "users/alice/keys/standin" in [key["name"] for key in json.loads(called.stdout)["keys"]]


@pytest.mark.parametrize(
    ("process", "port"),
    [("gateway", "grpc"), ("keyvault", "gateway")],
    ids=["gateway", "key service"],
)
def test_reflection_without_a_certificate_is_refused(
    clients: Clients, process: str, port: str
) -> None:
    listed = _list_services(_url(clients, process, port), *_trusting(clients))

    assert (listed.exit_code != 0, listed.stdout) == (True, "")


def test_reflection_on_the_owner_port_without_a_token_is_refused(clients: Clients) -> None:
    listed = _list_services(_url(clients, "keyvault", "owner"), *_trusting(clients))

    assert (listed.exit_code != 0, listed.stdout) == (True, "")
    assert "not authenticated" in listed.stderr


def test_reflection_on_the_gateways_port_is_refused_to_an_app(clients: Clients) -> None:
    listed = _list_services(_url(clients, "keyvault", "gateway"), *_as(clients, "app-demo"))

    assert (listed.exit_code != 0, listed.stdout) == (True, "")
    assert "permission_denied" in listed.stderr


def _list_services(url: str, *arguments: str | Path) -> Outcome:
    how = ["--http2-prior-knowledge"] if url.startswith("http://") else []
    return _buf("--list-services", *how, *arguments, url)


def _buf(*arguments: str | Path) -> Outcome:
    ended = subprocess.run(
        [BUF, "curl", "--protocol", "grpc", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def _url(clients: Clients, process: str, port: str) -> str:
    return f"https://127.0.0.1:{clients.port(process, port)}"


def _trusting(clients: Clients) -> tuple[str | Path, ...]:
    return ("--cacert", clients.stack.layout.ca_file)


def _as(clients: Clients, name: str) -> tuple[str | Path, ...]:
    certificate, key = clients.stack.layout.certificate(name)
    return (*_trusting(clients), "--cert", certificate, "--key", key)


def _as_owner(clients: Clients, folder: Path) -> tuple[str | Path, ...]:
    headers = folder / "headers"
    headers.touch(mode=0o600)
    headers.write_text(f"authorization: Bearer {clients.env['KEYTURN_OWNER_TOKEN']}\n")
    return (*_trusting(clients), "-H", f"@{headers}", "--reflect-header", "*")
