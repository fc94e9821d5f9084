"""The stacks that the end-to-end tests call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from keyturn_cli.local.service_settings import Variant
from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream
from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import Clients
from tests.e2e.log_check import faults_of_logs
from tests.e2e.owners import delete_made_keys
from tests.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def transcript() -> list[str]:
    """Everything that clients received in this session."""
    return []


@pytest.fixture(scope="session")
def shared_clients() -> list[Clients]:
    """The session's clients, once a test has asked for them."""
    return []


@pytest.fixture(scope="module", autouse=True)
def _room_for_keys(shared_clients: list[Clients]) -> Iterator[None]:
    """Delete what a module's tests gave into custody: an owner holds 100 keys at most."""
    yield
    for clients in shared_clients:
        asyncio.run(delete_made_keys(clients))


@pytest.fixture(scope="session")
def clients(
    tmp_path_factory: pytest.TempPathFactory,
    canary_key: SecretBytes,
    transcript: list[str],
    shared_clients: list[Clients],
) -> Iterator[Clients]:
    """Clients of one stack for the whole session: two key services and two gateways.

    The canary key is the seeded one, `users/alice/keys/standin`, granted to the demo app.
    A test that stops or breaks a part uses `own_clients`.
    """
    home = tmp_path_factory.mktemp("stack") / "home"
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as valkey:
        stack = LocalStack(home, Upstream(None, canary_key, "standin"), replicas=2)
        stack.variant = Variant(redis_address=valkey.address)
        with stack:
            shared_clients.append(Clients(stack, transcript))
            yield shared_clients[0]
            shared_clients.clear()
        assert faults_of_logs(stack.layout) == []


@pytest.fixture(scope="module")
def own_clients(
    tmp_path_factory: pytest.TempPathFactory, canary_key: SecretBytes, transcript: list[str]
) -> Iterator[Clients]:
    """Clients of a stack of the module's own, to be stopped, sealed and killed."""
    home = tmp_path_factory.mktemp("own-stack") / "home"
    with LocalStack(home, Upstream(None, canary_key, "standin")) as stack:
        yield Clients(stack, transcript)
    assert faults_of_logs(stack.layout) == []
