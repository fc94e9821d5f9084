"""What nodes answer that know less than others, on which the promise about revocations rests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import hvac
import pytest
from hvac.api.auth_methods import Token
from hvac.api.secrets_engines import KvV2

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.route import VaultRoute
from svc_runtime.vault.session import VaultConnection
from svc_runtime.vault.token_file_login import TokenFileLogin
from tests.cluster.leading import turns
from tests.cluster.raft_cluster import NODES, RaftCluster

_MOUNT = "notes"
_PATH = f"{_MOUNT}/data/note"
_READERS = 4
_WRITES = 50
_TIMEOUT_SECONDS = 5.0
_READ_ON_SECONDS = 1.0


@pytest.fixture(name="cluster", scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaftCluster]:
    home = tmp_path_factory.mktemp("nodes")
    cluster = RaftCluster(home / "openbao", home / "run")
    with ExitStack() as running:
        running.callback(cluster.stop)
        cluster.start()
        cluster.client().sys.enable_secrets_engine("kv", path=_MOUNT, options={"version": "2"})
        yield cluster


async def test_the_services_read_at_a_standby_what_the_leader_has_just_written(
    cluster: RaftCluster,
) -> None:
    leader = cluster.leader()
    standby = next(node for node in NODES if node != leader)
    writer, naive = cluster.client(leader), cluster.client(standby)
    seen: list[int | None] = []
    seen_by_naive: list[int | None] = []
    async with _service_at(cluster, standby) as service:
        for number in range(_WRITES):
            _write(writer, number)
            seen_by_naive.append(_told(naive))
            seen.append(await _read(service))

    assert seen == list(range(_WRITES))
    assert seen_by_naive != seen  # so there was something to be wrong about


def test_nodes_say_that_another_leads_and_nothing_while_all_is_quiet(cluster: RaftCluster) -> None:
    before = turns(cluster)
    cluster.client().sys.list_mounted_secrets_engines()
    quiet = turns(cluster)
    leader = cluster.leader()
    with cluster.cut_off(leader, is_for_clients=False):
        cluster.wait_until(lambda: turns(cluster) >= quiet + 2)  # one ceases, another begins
        cluster.wait_until(lambda: cluster.leader() != leader)
    cluster.wait_until_whole()

    assert quiet == before


async def test_a_leader_that_lost_its_peers_never_tells_a_service_what_was_overwritten(
    cluster: RaftCluster,
) -> None:
    old_leader = cluster.leader()
    peers = [node for node in NODES if node != old_leader]
    _write(cluster.client(old_leader), 1)
    read: list[tuple[float, int | None]] = []

    is_over = asyncio.Event()

    async def read_on(service: AsyncVaultAdapter) -> None:
        while not is_over.is_set():
            begin = time.monotonic()
            read.append((begin, await _read(service)))
            await asyncio.sleep(0)  # a refusal may come without any waiting

    async with _service_at(cluster, old_leader) as service:
        with cluster.cut_off(old_leader, is_for_clients=False):
            readers = [asyncio.create_task(read_on(service)) for _ in range(_READERS)]
            while not await asyncio.to_thread(_is_written, cluster, peers, 2):
                pass
            written = time.monotonic()
            await asyncio.sleep(_READ_ON_SECONDS)  # what is looked for is that nothing happens
            naive = _told(cluster.client(old_leader))
        await asyncio.to_thread(cluster.wait_until_whole)
        is_over.set()
        await asyncio.gather(*readers)

    assert 1 in {number for begin, number in read if begin < written}
    assert {number for begin, number in read if begin >= written} <= {2, None}
    assert naive == 1  # so there was something to be wrong about


@asynccontextmanager
async def _service_at(cluster: RaftCluster, node: str) -> AsyncIterator[AsyncVaultAdapter]:
    """Speak to *node* as the services do."""
    connection = VaultConnection(cluster.address_of(node), cluster.ca_file)
    token = SecretBytes(cluster.root_token_file.read_bytes())
    async with connection.open_pool(TokenFileLogin(cluster.root_token_file)) as pool:
        service = AsyncVaultAdapter(
            pool,
            VaultRoute((connection.address,)),
            namespace=None,
            timeout_seconds=_TIMEOUT_SECONDS,
        ).with_token(token)
        await Token(service).lookup_self()  # a service logs in first, and learns of the cluster
        yield service


async def _read(service: AsyncVaultAdapter) -> int | None:
    """Return the number that is stored; None if the node does not tell."""
    try:
        answer = await KvV2(service).read_secret_version(
            "note", mount_point=_MOUNT, raise_on_deleted_version=True
        )
    except VaultUnavailableError:
        return None
    return int(answer["data"]["data"]["number"])


def _told(client: hvac.Client) -> int | None:
    """Return the number that the node tells whoever does not ask for the leader's."""
    try:
        return int(client.read(_PATH)["data"]["data"]["number"])
    except (hvac.exceptions.VaultError, TypeError):
        return None  # it does not know of any yet


def _write(client: hvac.Client, number: int) -> None:
    client.write_data(_PATH, data={"data": {"number": number}})


def _is_written(cluster: RaftCluster, nodes: list[str], number: int) -> bool:
    for node in nodes:
        try:
            _write(cluster.client(node), number)
        except (hvac.exceptions.VaultError, OSError):
            continue
        return True
    return False
