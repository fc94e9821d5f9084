"""Services of this release and of an older one work together, and replace each other."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gateway_svc.settings import Settings as GatewaySettings
from keyvault_svc.settings import Settings as KeyServiceSettings
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import Clients
from tests.e2e.open_load import CALLS_PER_SECOND, Tally, load
from tests.e2e.pod_cluster import pod_cluster, stack_without_services
from tests.e2e.pods import Release

pytestmark = pytest.mark.timeout(600)

_SECONDS: Final = 10
_KINDS: Final = {"grpc", "grpc-stream", "http", "sdk", "sdk-stream"}
_TELL_SETTINGS: Final = """
from gateway_svc.settings import Settings as Gateway
from keyvault_svc.settings import Settings as KeyService
print(*Gateway.model_fields, *KeyService.model_fields)
"""


@pytest.fixture(scope="module", name="older")
def _older(older_python: Path) -> Release:
    command: list[str | Path] = [older_python, "-c", _TELL_SETTINGS]
    told = subprocess.run(command, check=True, capture_output=True, cwd="/").stdout
    settings = {*GatewaySettings.model_fields, *KeyServiceSettings.model_fields}
    return Release(older_python, frozenset(settings - set(told.decode().split())))


@pytest.fixture(scope="module", name="clients")
def _clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes
) -> Iterator[Clients]:
    with stack_without_services(tmp_path_factory.mktemp("skew"), canary_key) as clients:
        yield clients


async def test_older_gateways_work_with_key_services_of_this_release(
    clients: Clients, older: Release
) -> None:
    async with (
        pod_cluster(clients, replicas=2, drain_seconds=60, gateway_release=older) as cluster,
        load(clients, cluster.way) as tally,
    ):
        await asyncio.sleep(_SECONDS)

    _all_are_served(tally)


async def test_gateways_of_this_release_work_with_older_key_services(
    clients: Clients, older: Release
) -> None:
    async with (
        pod_cluster(clients, replicas=2, drain_seconds=60, keyvault_release=older) as cluster,
        load(clients, cluster.way) as tally,
    ):
        await asyncio.sleep(_SECONDS)

    _all_are_served(tally)


@pytest.mark.parametrize("order", ["keyvault gateway", "gateway keyvault"])
async def test_no_call_fails_while_this_release_replaces_the_older_one(
    clients: Clients, older: Release, order: str
) -> None:
    if "connection_seconds" in older.unknown_settings:
        pytest.skip("the older release loses calls whenever it stops")
    async with pod_cluster(
        clients,
        replicas=2,
        drain_seconds=60,
        keyvault_release=older,
        gateway_release=older,
    ) as cluster:
        async with load(clients, cluster.way) as tally:
            for name in order.split():
                deployment = getattr(cluster, name)
                deployment.release = Release()
                await deployment.roll()
        calls = tally.served.total()

        _all_are_served(tally)
        assert await cluster.outcomes(calls) == Counter(served=calls)


def _all_are_served(tally: Tally) -> None:
    assert tally.failures == Counter()
    assert set(tally.served) == _KINDS
    assert tally.served.total() > 2 * CALLS_PER_SECOND
