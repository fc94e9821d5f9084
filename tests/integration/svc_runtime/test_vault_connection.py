"""Where a session leads: into a namespace, and to no server but one that the CA vouches for."""

from __future__ import annotations

from pathlib import Path

import hvac
import pytest
from structlog.testing import capture_logs

from svc_runtime.clock import SystemClock
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.login import AppRoleLogin
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.certs import Authority
from tests.integration.svc_runtime.vault_side import (
    APPROLE,
    KV,
    POLICY,
    Server,
    VaultSide,
    encrypt,
    read,
    write,
)

NAMESPACE = "session-namespace"


@pytest.fixture(scope="module")
def namespaced(mounted_openbao: Server) -> hvac.Client:
    """Return an administrator's client inside a namespace with mounts named as outside."""
    client = mounted_openbao.client()
    client.adapter.post(f"/v1/sys/namespaces/{NAMESPACE}")
    client.adapter.namespace = NAMESPACE
    client.sys.enable_secrets_engine("kv", path=KV, options={"version": "2"})
    client.sys.enable_auth_method("approle", path=APPROLE)
    client.sys.create_or_update_policy("session-test", POLICY)
    client.auth.approle.create_or_update_approle(
        "inside", mount_point=APPROLE, token_policies=["session-test"], token_ttl="10m"
    )
    return client


@pytest.fixture
def inside_login(namespaced: hvac.Client, tmp_path: Path) -> AppRoleLogin:
    """Return a login with a credential that is good inside the namespace only."""
    approle = namespaced.auth.approle
    role_id = approle.read_role_id("inside", mount_point=APPROLE)
    secret_id = approle.generate_secret_id("inside", mount_point=APPROLE)
    login = AppRoleLogin(APPROLE, tmp_path / "inside-role-id", tmp_path / "inside-secret-id")
    login.role_id_file.write_text(role_id["data"]["role_id"])
    login.secret_id_file.write_text(secret_id["data"]["secret_id"])
    return login


def _session(
    server: Server, login: AppRoleLogin, *, namespace: str | None = None, ca: Path | None = None
) -> VaultSession:
    connection = VaultConnection(server.address, ca or server.ca_file, namespace)
    return VaultSession(connection, login, SystemClock())


async def test_a_session_lives_in_its_namespace(
    mounted_openbao: Server, namespaced: hvac.Client, inside_login: AppRoleLogin
) -> None:
    async with _session(mounted_openbao, inside_login, namespace=NAMESPACE) as session:
        await session.call(write("inside", "kept", 0), {})
        answer = await session.call(read("inside"), {})

    stored = namespaced.secrets.kv.v2.read_secret_version(
        "inside", mount_point=KV, raise_on_deleted_version=True
    )
    assert answer["data"]["data"] == stored["data"]["data"] == {"value": "kept"}
    with pytest.raises(hvac.exceptions.InvalidPath):
        mounted_openbao.client().secrets.kv.v2.read_secret_version(
            "inside", mount_point=KV, raise_on_deleted_version=True
        )


@pytest.mark.parametrize("namespace", [None, "session-nowhere"])
async def test_a_credential_of_a_namespace_is_good_in_no_other(
    mounted_openbao: Server, inside_login: AppRoleLogin, namespace: str | None
) -> None:
    async with _session(mounted_openbao, inside_login, namespace=namespace) as session:
        assert not session.is_ready
        with pytest.raises(VaultUnavailableError):
            await session.call(read("inside"), {})


async def test_a_server_of_an_unknown_ca_is_an_outage_and_learns_no_credential(
    vault_side: VaultSide, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign-ca.pem"
    foreign.write_bytes(Authority().pem)
    with capture_logs() as events:
        async with _session(vault_side.openbao, vault_side.login, ca=foreign) as session:
            assert not session.is_ready
            with pytest.raises(VaultUnavailableError):
                await session.call(encrypt("x"), {})

    found = {(event["event"], event.get("cause")) for event in events}
    assert {("vault_unavailable", "connection"), ("vault_login_failed", "unavailable")} <= found
