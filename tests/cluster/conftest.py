"""A stack on three nodes, for each module; and the times to recovery, in pytest's summary."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from keyturn_cli.local.layout import Layout
from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.cluster.calling import REPLICAS
from tests.cluster.raft_cluster import RaftCluster
from tests.cluster.recovery_times import table
from tests.cluster.scene import Scene
from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey, alice, give_key, keep_key
from tests.valkey_server import ValkeyServer

RECOVERY_TIMES = pytest.StashKey[dict[tuple[str, str], float]]()
_KEYS = 12


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print how long each fault lasted for callers."""
    times = config.stash.get(RECOVERY_TIMES, {})
    if times:
        terminalreporter.section("seconds until all were served again")
        for line in table(times):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def recovery_times(pytestconfig: pytest.Config) -> dict[tuple[str, str], float]:
    """Seconds until everybody was served again, by fault and activity."""
    return pytestconfig.stash.setdefault(RECOVERY_TIMES, {})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes) -> Iterator[Scene]:
    """Two key services and two gateways on three nodes, and keys that serve."""

    def three_nodes(layout: Layout, ports: Mapping[str, int]) -> RaftCluster:
        del ports  # a node has two of its own
        return RaftCluster(layout.openbao_dir, layout.run_dir)

    home: Path = tmp_path_factory.mktemp("cluster") / "home"
    upstream = Upstream(None, canary_key, "standin")
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as valkey:
        stack = LocalStack(home, upstream, replicas=2, make_vault=three_nodes)
        stack.variant = Variant(redis_address=valkey.address)
        with stack:
            cluster = stack.openbao
            assert isinstance(cluster, RaftCluster)
            clients = Clients(stack)
            keys, revocable = asyncio.run(_furnish(clients))
            yield Scene(cluster, clients, keys, revocable)


async def _furnish(clients: Clients) -> tuple[tuple[OwnedKey, ...], OwnedKey]:
    """Make the keys; so each key service has the issuer's key set, too, before that is away."""
    for replica in REPLICAS:
        await alice(clients, replica=replica).list_keys("users/alice")
    revocable = await keep_key(clients, "revocable")
    keys = await asyncio.gather(*(give_key(clients, "served") for _ in range(_KEYS)))
    return tuple(keys), revocable
