"""The servers that must keep the contract: OpenBao always, HashiCorp Vault where `-m hashicorp`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.contract_server import ContractServer
from tests.contract.hashicorp_server import (
    NO_ENGINE,
    VERSIONS,
    HashiCorpUnderContract,
    is_engine_there,
)
from tests.contract.openbao_server import OpenBaoUnderContract
from tests.contract.vault_under_test import VaultUnderTest

_OPENBAO = "openbao"
_HASHICORP_MARKS = (
    pytest.mark.hashicorp,
    pytest.mark.timeout(600),  # the first of them may have to get the image
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the engine's client leaves sockets
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
)
_SERVERS = [
    pytest.param(_OPENBAO, id=_OPENBAO),
    *(pytest.param(v, id=f"hashicorp-{v}", marks=_HASHICORP_MARKS) for v in VERSIONS),
]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to begin where tests were asked for that nothing can run."""
    is_asked_for = any(item.get_closest_marker("hashicorp") for item in session.items)
    if is_asked_for and not session.config.option.collectonly and not is_engine_there():
        raise pytest.UsageError(NO_ENGINE)


@pytest.fixture(scope="session", params=_SERVERS)
def product(request: pytest.FixtureRequest) -> str:
    """Return `openbao`, or a version of HashiCorp Vault."""
    return str(request.param)


@pytest.fixture(scope="session")
def vault(product: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultUnderTest]:
    """A server that bootstrap has set up, for all: none seals it, or rotates its keys."""
    server = _started(product, tmp_path_factory.mktemp("vault"))
    try:
        yield _set_up(server, tmp_path_factory.mktemp("credentials"))
    finally:
        server.stop()


@pytest.fixture(scope="module")
def rotating_vault(
    product: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VaultUnderTest]:
    """A server like `vault`, of one module, whose tests raise the minimum."""
    server = _started(product, tmp_path_factory.mktemp("rotating-vault"))
    try:
        yield _set_up(server, tmp_path_factory.mktemp("rotating-credentials"))
    finally:
        server.stop()


@pytest.fixture
def own_vault(product: str, tmp_path: Path) -> Iterator[VaultUnderTest]:
    """A server like `vault`, of one test only."""
    server = _started(product, tmp_path)
    try:
        yield _set_up(server, tmp_path)
    finally:
        server.stop()


def _started(product: str, folder: Path) -> ContractServer:
    if product == _OPENBAO:
        return OpenBaoUnderContract(folder)
    return HashiCorpUnderContract(product, folder)


def _set_up(server: ContractServer, folder: Path) -> VaultUnderTest:
    vault = VaultUnderTest(server, folder)
    vault.bootstrap()
    return vault
