"""A bootstrap that logs in by itself, as the one of a cluster does."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import InvalidPath

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.bootstrap_command import BootstrapCommand, bootstrap
from keyvault_svc.settings import Settings
from tests.integration.keyvault_svc.bootstrap_policy_table import POLICY
from tests.integration.keyvault_svc.login_choices import ACCOUNTS
from tests.integration.svc_runtime.fake_kubernetes_api import FakeKubernetesAPI

ACCOUNT = "keyvault-bootstrap"
MOUNT = "keyturn-kubernetes"
ROLE = f"auth/{MOUNT}/role/keyturn-bootstrap"
POLICIES = Path(__file__).resolve().parents[3] / "deploy/vault/policies"
SETTINGS = """
owner_address = "127.0.0.1:8443"
gateway_address = "127.0.0.1:8444"
health_address = "127.0.0.1:8080"
gateways = ["spiffe://keyturn.test/gateway-svc"]
[tls]
certificate = "tls.crt"
key = "tls.key"
ca = "ca.crt"
[vault]
address = "{address}"
ca_file = "{ca}"
[vault.kubernetes]
role = "keyvault-svc"
[people]
issuer = "https://issuer.test"
audience = "keyturn"
name_claim = "sub"
jwks_url = "https://issuer.test/keys"
[limits]
file = "limits.db"
[bootstrap_login.kubernetes]
role = "keyturn-bootstrap"
token_file = "{folder}/token"
[bootstrap]
policy_dir = "{policies}"
trust_domain = "keyturn.test"
login = "kubernetes"
[bootstrap.kubernetes]
host = "{host}"
ca_file = "{folder}/kubernetes.pem"
service_accounts = {accounts}
"""


@dataclass(frozen=True)
class Scene:
    """A cluster, an OpenBao whose administrator made the one role, and a settings file."""

    openbao: OpenBaoServer
    api: FakeKubernetesAPI
    config: Path
    token_file: Path

    async def bootstrap(self, **options: Any) -> int:  # noqa: ANN401 - those of the command
        """Run the command as a job does, with a fresh token of its service account."""
        command = BootstrapCommand(token_file=None, is_manual_accepted=True, **options)
        token = self.api.issue_token(account_name=ACCOUNT)
        self.token_file.write_text(token, encoding="ascii")
        return await asyncio.to_thread(bootstrap, Settings.load(self.config), command)

    def let_in(self, policy: str) -> None:
        """Do what the administrator does, with *policy* for the bootstrap."""
        admin = self.openbao.client()
        admin.write_data("sys/policies/acl/keyturn-bootstrap", data={"policy": policy})
        admin.write_data(
            ROLE,
            data={
                "bound_service_account_names": [ACCOUNT],
                "bound_service_account_namespaces": ["keyturn"],
                "audience": "vault",
                "token_policies": ["keyturn-bootstrap"],
                "token_no_default_policy": True,
                "token_ttl": 600,
                "token_max_ttl": 600,
            },
        )

    def tokens(self) -> list[dict[str, Any]]:
        """Return what Vault says of each token of the bootstrap that still lives."""
        admin = self.openbao.client()
        found = []
        for accessor in admin.list("auth/token/accessors")["data"]["keys"]:
            try:
                data = admin.lookup_token(accessor, accessor=True)["data"]
            except InvalidPath:
                continue  # it has just died
            if data["path"] == f"auth/{MOUNT}/login":
                found.append(data)
        return found


@pytest.fixture
async def scene(empty_openbao: OpenBaoServer, tmp_path: Path) -> AsyncIterator[Scene]:
    async with FakeKubernetesAPI(tmp_path) as api:
        (tmp_path / "kubernetes.pem").write_text(api.ca, encoding="ascii")
        admin = empty_openbao.client()
        if f"{MOUNT}/" not in admin.read("sys/auth")["data"]:
            admin.write_data(f"sys/auth/{MOUNT}", data={"type": "kubernetes"})
        config = {"kubernetes_host": api.address, "kubernetes_ca_cert": api.ca}
        admin.write_data(f"auth/{MOUNT}/config", data={**config, "disable_local_ca_jwt": True})
        file = tmp_path / "settings.toml"
        accounts = ", ".join(f'{login} = "{account}"' for login, account in ACCOUNTS.items())
        file.write_text(
            SETTINGS.format(
                address=empty_openbao.address,
                ca=empty_openbao.ca_file,
                folder=tmp_path,
                policies=POLICIES,
                host=api.address,
                accounts=f"{{{accounts}}}",
            ),
            encoding="utf-8",
        )
        scene = Scene(empty_openbao, api, file, tmp_path / "token")
        scene.let_in(POLICY)
        yield scene


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """Forget what the server's start printed."""
    capsys.readouterr()
    return capsys


class _Waiting(io.StringIO):
    """Standard error of a run, and when it says that it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.is_told = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, text: str) -> int:
        if text.startswith("waiting: Vault cannot be reached"):
            self._loop.call_soon_threadsafe(self.is_told.set)
        return super().write(text)


async def test_a_job_sets_up_vault_and_a_second_one_changes_nothing(
    scene: Scene, printed: pytest.CaptureFixture[str]
) -> None:
    role = scene.openbao.client().read(ROLE)["data"]

    first = await scene.bootstrap()
    printed.readouterr()
    second = await scene.bootstrap(is_json=True)

    outcomes = {row["outcome"] for row in json.loads(printed.readouterr().out)}
    assert (first, second) == (0, 0)
    assert outcomes <= {"ok", "manual"}
    assert scene.openbao.client().read(ROLE)["data"] == role


async def test_the_token_of_a_job_is_revoked_in_the_end(scene: Scene) -> None:
    await scene.bootstrap()

    assert scene.tokens() == []


async def test_the_token_of_a_job_that_fails_is_revoked_too(
    scene: Scene, printed: pytest.CaptureFixture[str]
) -> None:
    scene.let_in('path "auth/token/revoke-self" { capabilities = ["update"] }')

    assert await scene.bootstrap() == 1
    assert "Vault denies the token" in printed.readouterr().err
    assert scene.tokens() == []


async def test_a_token_that_may_not_be_revoked_is_told_with_its_life(
    scene: Scene, printed: pytest.CaptureFixture[str]
) -> None:
    scene.let_in('path "sys/auth" { capabilities = ["read"] }')

    await scene.bootstrap()

    assert "login: Vault did not revoke the token; it lives for 600 s." in printed.readouterr().err
    [left] = scene.tokens()
    scene.openbao.client().auth.token.revoke_accessor(left["accessor"])


async def test_a_job_whose_role_was_taken_away_changes_nothing_and_says_so(
    scene: Scene, printed: pytest.CaptureFixture[str]
) -> None:
    scene.openbao.client().delete(ROLE)

    assert await scene.bootstrap(wait_seconds=60) == 1

    told = printed.readouterr()
    assert "The login of [bootstrap_login] failed: Vault refused the credential." in told.err
    assert told.out == ""


async def test_a_job_waits_for_a_vault_that_is_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _Waiting()
    monkeypatch.setattr(sys, "stderr", told)
    scene.openbao.stop()
    job = asyncio.create_task(scene.bootstrap(wait_seconds=100))
    await told.is_told.wait()
    await asyncio.to_thread(scene.openbao.start)

    assert await job == 0
