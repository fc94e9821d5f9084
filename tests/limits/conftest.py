"""The stores that must keep the contract: the file, and Valkey."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from keyvault_svc.domain.limit_store import LimitStore
from keyvault_svc.domain.names import OwnerKind, OwnerName
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.redis_store import RedisLimitStore
from tests.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server for all tests that do not stop it; each uses an owner of its own."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["file", "valkey"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stores(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[LimitStore, LimitStore]]:
    """Two clients of one store; a file has one only."""
    opened: list[LimitStore]
    if kind == "file":
        opened = [FileLimitStore(tmp_path / "limits.db", timeout_seconds=10)]
    else:
        connection = request.getfixturevalue("valkey").connection()
        opened = [RedisLimitStore(connection), RedisLimitStore(connection)]
    yield opened[0], opened[-1]
    for store in opened:
        await store.close()


@pytest.fixture
def store(stores: tuple[LimitStore, LimitStore]) -> LimitStore:
    return stores[0]


@pytest.fixture
def other(stores: tuple[LimitStore, LimitStore]) -> LimitStore:
    return stores[1]


@pytest.fixture
def owner() -> OwnerName:
    return OwnerName(OwnerKind.USER, secrets.token_hex(8))
