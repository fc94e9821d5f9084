"""The cluster changes under load: what apps notice of it, and how their calls go on."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509

from tests.kube.app_load import CALLS_PER_SECOND, Tally, load
from tests.kube.cluster import Cluster
from tests.kube.deployment import Deployment
from tests.kube.installation import Installation
from tests.kube.pod import Pod

pytestmark = [pytest.mark.kube, pytest.mark.timeout(600)]

_RELOAD_SECONDS = 30.0
_RECOVERY_SECONDS = 30.0
_HASTY_SECONDS = 10.0  # instead of the chart's minute
_KINDS = {"grpc", "grpc-stream", "http", "http-stream"}
# How an outage may sound.
_OUTAGES = {
    "VAULT_UNAVAILABLE",
    "KEY_SERVICE_UNAVAILABLE",
    "LIMIT_STORE_UNAVAILABLE",
    "LEASE_EXPIRED",
}


def test_no_call_fails_while_an_upgrade_replaces_every_pod(cluster: Cluster) -> None:
    deployments = list(cluster.deployments.values())
    before = [pod for deployment in deployments for pod in deployment.pods]

    with load(cluster) as tally, ThreadPoolExecutor() as upgrade:
        # As after `helm upgrade`: both at the same time, at the chart's own pace.
        for rolled in [upgrade.submit(deployment.roll) for deployment in deployments]:
            rolled.result()

    _all_were_served(tally)
    _all_ended_in_order(deployments, before)


@pytest.mark.parametrize("order", ["keyvault-svc gateway-svc", "gateway-svc keyvault-svc"])
def test_no_call_fails_while_one_service_is_replaced_after_the_other(
    cluster: Cluster, order: str
) -> None:
    deployments = [cluster.deployments[name] for name in order.split()]
    before = [pod for deployment in deployments for pod in deployment.pods]

    with load(cluster) as tally:
        for deployment in deployments:
            deployment.roll(_HASTY_SECONDS)

    _all_were_served(tally)
    _all_ended_in_order(deployments, before)


def test_no_call_fails_while_certificates_are_replaced(installation: Installation) -> None:
    cluster = installation.cluster
    pods = [pod for deployment in cluster.deployments.values() for pod in deployment.pods]
    old = {pod.address.name: _serial(pod) for pod in pods}

    with load(cluster) as tally:
        cluster.wait(2)
        installation.sign_certificates()
        give_up = time.monotonic() + _RELOAD_SECONDS
        while any(_serial(pod) == old[pod.address.name] for pod in pods):
            assert time.monotonic() < give_up, "a pod still shows its old certificate"
            cluster.wait(0.2)
        cluster.wait(3)

    _all_were_served(tally)


def test_a_node_of_vault_that_dies_is_an_outage_at_most_and_a_short_one(cluster: Cluster) -> None:
    leader = cluster.vault.leader()
    with load(cluster) as tally:
        cluster.wait(2)
        cluster.vault.kill(leader)
        try:
            assert cluster.vault.leader() != leader
            _until_all_are_served(cluster)
        finally:
            cluster.vault.restart(leader)

    assert _reasons(tally) <= _OUTAGES
    assert tally.failures.total() < CALLS_PER_SECOND * _RECOVERY_SECONDS


def test_a_limit_store_that_dies_is_an_outage_until_it_is_back(cluster: Cluster) -> None:
    with load(cluster) as tally:
        cluster.wait(2)
        cluster.kill_valkey()
        cluster.wait(2)
        cluster.start_valkey()
        _until_all_are_served(cluster)

    assert _reasons(tally) == {"LIMIT_STORE_UNAVAILABLE"}


def _all_were_served(tally: Tally) -> None:
    # Timeouts of Vault and of the limit store, on a machine with too much else to do, are its own.
    busy = (
        f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} CPUs, the app late by {tally.lag:.1f} s"
    )
    assert tally.failures == Counter(), busy
    assert set(tally.served) == _KINDS
    # The machine kept up: the rate is what was asked for, with little missing.
    assert tally.served.total() > 0.8 * CALLS_PER_SECOND * tally.seconds


def _until_all_are_served(cluster: Cluster) -> None:
    """Wait until no call fails any more, with another app beside the one that calls meanwhile."""
    give_up = time.monotonic() + _RECOVERY_SECONDS
    while True:
        with load(cluster, rate=10) as tally:
            cluster.wait(3)
        if not tally.failures:
            return
        assert time.monotonic() < give_up, tally.failures


def _all_ended_in_order(deployments: list[Deployment], pods: list[Pod]) -> None:
    for deployment in deployments:
        ends = [end for end in deployment.ends if end.pod in pods]
        assert [end.exit_code for end in ends] == [0] * deployment.spec["replicas"]
        assert [end for end in ends if end.seconds >= deployment.cut_seconds] == []


def _reasons(tally: Tally) -> set[str]:
    return {failure.rpartition(" ")[2] for failure in tally.failures}


def _serial(pod: Pod) -> int:
    """Return the serial number of the certificate that *pod* shows, as its node sees it."""
    port = pod.address.named_ports.get("https", pod.address.named_ports.get("owners"))
    context = ssl.create_default_context()
    context.check_hostname = False  # nothing is sent
    context.verify_mode = ssl.CERT_NONE
    with contextlib.ExitStack() as closing:
        plain = closing.enter_context(socket.create_connection((pod.address.ip, port), timeout=5))
        secured = closing.enter_context(context.wrap_socket(plain))
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number
