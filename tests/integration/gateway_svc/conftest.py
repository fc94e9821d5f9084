"""The shared server, set up as an operator sets it up."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap.access_steps import access_steps
from keyvault_svc.vault.bootstrap.key_storage_steps import key_storage_steps
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin
from tests.integration.gateway_svc.handoff_side import HandoffSide

POLICY_DIR = Path(__file__).resolve().parents[3] / "deploy/vault/policies"
HEADERS = ("X-Keyturn-Request-Id", "X-Keyturn-Lease", "X-Keyturn-App", "X-Keyturn-Key")


@pytest.fixture(scope="module")
def deployed_openbao(openbao: OpenBaoServer) -> OpenBaoServer:
    options = BootstrapOptions(
        policy_dir=POLICY_DIR,
        trust_domain="keyturn.test",
        issuer=None,
        audit_file=None,
        owner_token_ttl_seconds=600,
        app_token_ttl_seconds=600,
    )
    admin = VaultAdmin(openbao.client(), dry_run=False)
    for step in (*key_storage_steps(), *access_steps(options)):
        step.converge(admin)
    for name in HEADERS:
        openbao.client().adapter.post(
            f"/v1/sys/config/auditing/request-headers/{name}", json={"hmac": False}
        )
    return openbao


@pytest.fixture
def side(deployed_openbao: OpenBaoServer, tmp_path: Path) -> HandoffSide:
    return HandoffSide(deployed_openbao, tmp_path)
