"""What an installation of the chart is good for: owners bring keys, apps use them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keyturn_cli.exit_codes import ExitCode
from tests.kube.app_load import load
from tests.kube.cluster import PROMETHEUS, Cluster
from tests.kube.installation import CommandFailedError, Installation

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]
_NO_CAPABILITY = "0000000000000000"


def test_the_job_sets_vault_up_and_pods_log_in_after_its_role_is_gone(
    installation: Installation,
) -> None:
    services = ("keyvault-svc", "gateway-svc")
    with installation.administrator() as vault:
        roles = [
            vault.read(f"auth/keyturn-kubernetes/role/{name}") is not None
            for name in ("keyturn-bootstrap", *services)
        ]

    assert installation.bootstrap.process.wait() == 0
    assert roles == [False, True, True]
    for service in services:
        [*pods] = installation.cluster.deployments[service].pods
        assert all('"vault_login"' in pod.log_file.read_text("utf-8") for pod in pods)


def test_the_app_calls_over_grpc_at_once_and_streamed(installation: Installation) -> None:
    whole = installation.as_app("chat", "Who am I?", "--no-stream")
    streamed = installation.as_app("chat", "Who am I?")

    assert whole.strip() == streamed.strip() == "You said: Who am I?"


def test_the_app_calls_over_grpc_and_https_with_certificate_and_token(cluster: Cluster) -> None:
    with load(cluster, rate=20) as tally:
        cluster.wait(5)

    assert tally.failures == {}
    assert set(tally.served) == {"grpc", "grpc-stream", "http", "http-stream"}


def test_another_app_is_refused(installation: Installation) -> None:
    with pytest.raises(CommandFailedError, match="NOT_GRANTED") as refused:
        installation.as_app("chat", "Me too?", app="other")

    assert refused.value.args[0] == ExitCode.REFUSED


def test_a_grant_that_is_revoked_serves_no_more(installation: Installation) -> None:
    installation.add_key("second")
    grant = installation.grant("second")
    key = "users/alice/keys/second"

    assert installation.as_app("chat", "Hello", key=key).strip() == "You said: Hello"
    installation.as_owner("grants", "revoke", grant)
    with pytest.raises(CommandFailedError) as refused:
        installation.as_app("chat", "Hello", key=key)

    assert refused.value.args[0] == ExitCode.REFUSED


@pytest.mark.parametrize("service", ["keyvault-svc", "gateway-svc"])
def test_pods_have_no_privilege_and_nothing_to_write_on(cluster: Cluster, service: str) -> None:
    pod = cluster.deployments[service].pods[0]
    process = Path(f"/proc/{pod.process.pid}")
    status = dict(line.split(":\t") for line in (process / "status").read_text().splitlines())
    mounts = [line.split() for line in (process / "mounts").read_text().splitlines()]
    # Of the host's mounts a process in another root sees none but those below its own.
    writable = {mount[1] for mount in mounts if "rw" in mount[3].split(",")}

    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert status["CapEff"] == status["CapPrm"] == status["CapBnd"] == _NO_CAPABILITY
    assert status["NoNewPrivs"] == "1"
    assert {place for place in writable if not place.startswith(("/proc", "/dev/"))} == set()


@pytest.mark.parametrize("service", ["keyvault-svc", "gateway-svc"])
def test_prometheus_reads_the_figures_of_each_pod(cluster: Cluster, service: str) -> None:
    reader = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    for pod in cluster.deployments[service].pods:
        url = f"http://{pod.address.ip}:{pod.address.named_ports['metrics']}/metrics"
        done = cluster.pods[PROMETHEUS.name].execute(sys.executable, "-I", "-c", reader, url)

        assert b"# TYPE" in done.stdout
