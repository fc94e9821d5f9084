"""Fixtures of the Vault session's tests: mounts of their own on the shared server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from svc_runtime.vault.session import VaultSession
from tests.integration.svc_runtime.vault_side import (
    APPROLE,
    KV,
    POLICY,
    TRANSIT,
    Server,
    VaultSide,
)
from tests.tcp_relay import TcpRelay


@pytest.fixture(scope="session")
def mounted_openbao(openbao: Server) -> Server:
    root = openbao.client()
    root.sys.enable_secrets_engine("kv", path=KV, options={"version": "2"})
    root.sys.enable_secrets_engine("transit", path=TRANSIT)
    root.sys.enable_auth_method("approle", path=APPROLE)
    root.sys.create_or_update_policy("session-test", POLICY)
    root.secrets.transit.create_key("key", mount_point=TRANSIT)
    root.adapter.post("/v1/sys/config/auditing/request-headers/X-Keyturn-Request-Id")
    return openbao


@pytest.fixture
def vault_side(mounted_openbao: Server, tmp_path: Path) -> VaultSide:
    side = VaultSide(mounted_openbao, tmp_path)
    side.make_role(token_ttl="10m")
    return side


@pytest.fixture
async def session(vault_side: VaultSide) -> AsyncIterator[VaultSession]:
    async with vault_side.session() as opened:
        yield opened


@pytest.fixture
async def relay(vault_side: VaultSide) -> AsyncIterator[TcpRelay]:
    port = urlsplit(vault_side.openbao.address).port
    assert port is not None
    async with TcpRelay(port) as standing:
        yield standing
