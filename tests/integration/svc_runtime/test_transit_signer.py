"""Vault signs heads of an audit stream for their service alone, and its log attests them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyturn_cli.audit.signing_keys import Signatures, read_signing_keys
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap.access_steps import access_steps
from keyvault_svc.vault.bootstrap.key_storage_steps import key_storage_steps
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin
from svc_runtime.audit_stream.chain import Head, parse_request_id
from svc_runtime.clock import SystemClock
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.login import AppRoleLogin
from svc_runtime.vault.session import VaultConnection, VaultSession
from svc_runtime.vault.transit_signer import TransitSigner
from tests.live_files import whole_lines

POLICY_DIR = Path(__file__).resolve().parents[3] / "deploy/vault/policies"
GATEWAY = "gateway-svc"
HEAD = Head("gateway-svc-0011223344556677", 12, "0123456789abcdef" * 4)


@pytest.fixture
async def session(openbao: OpenBaoServer, tmp_path: Path) -> AsyncIterator[VaultSession]:
    """The gateway's session with a Vault that was set up for Keyturn."""
    admin = openbao.client()
    options = BootstrapOptions(
        policy_dir=POLICY_DIR,
        trust_domain="keyturn.test",
        issuer=None,
        audit_file=None,
        owner_token_ttl_seconds=600,
        app_token_ttl_seconds=600,
    )
    for step in (*key_storage_steps(), *access_steps(options)):
        step.converge(VaultAdmin(admin, dry_run=False))
    admin.write_data(
        "sys/config/auditing/request-headers/X-Keyturn-Request-Id", data={"hmac": False}
    )
    role = f"auth/keyturn-approle/role/{GATEWAY}"
    (tmp_path / "role-id").write_text(admin.read(f"{role}/role-id")["data"]["role_id"])
    secret_id = admin.write_data(f"{role}/secret-id", data={})["data"]["secret_id"]
    (tmp_path / "secret-id").write_text(secret_id)
    login = AppRoleLogin("keyturn-approle", tmp_path / "role-id", tmp_path / "secret-id")
    connection = VaultConnection(openbao.address, openbao.ca_file)
    async with VaultSession(connection, login, SystemClock()) as opened:
        yield opened


@pytest.fixture
def signatures(session: VaultSession, openbao: OpenBaoServer, tmp_path: Path) -> Signatures:
    """The public keys, from a file with what Vault answers when they are read."""
    del session  # the keys are made before it is
    answers = [
        openbao.client().read(f"keyturn-transit/keys/audit-{service}")
        for service in ("keyvault-svc", GATEWAY)
    ]
    file = tmp_path / "signing-keys.json"
    file.write_text("\n".join(json.dumps(answer, indent=2) for answer in answers))
    return Signatures(read_signing_keys(file))


async def test_a_signature_is_verified_by_the_public_key(
    session: VaultSession, signatures: Signatures
) -> None:
    signature = await TransitSigner(session, GATEWAY).sign(HEAD)

    assert signatures.is_right(GATEWAY, HEAD, signature)


async def test_a_signature_is_good_for_its_head_and_service_alone(
    session: VaultSession, signatures: Signatures
) -> None:
    signature = await TransitSigner(session, GATEWAY).sign(HEAD)

    others = [
        Head(HEAD.chain, HEAD.seq + 1, HEAD.digest),
        Head(HEAD.chain, HEAD.seq, "0" * 64),
        Head("gateway-svc-0011223344556678", HEAD.seq, HEAD.digest),
    ]
    assert not any(signatures.is_right(GATEWAY, other, signature) for other in others)
    assert not signatures.is_right("keyvault-svc", HEAD, signature)


async def test_vaults_log_attests_how_long_the_chain_was(
    session: VaultSession, openbao: OpenBaoServer
) -> None:
    await TransitSigner(session, GATEWAY).sign(HEAD)

    entries = [json.loads(line) for line in whole_lines(openbao.audit_log)]
    signed = [e for e in entries if e["request"]["path"].endswith("/sign/audit-gateway-svc")]
    [request_id] = signed[-1]["request"]["headers"]["x-keyturn-request-id"]
    attested = parse_request_id(request_id)
    assert attested is not None
    assert (attested.service, attested.chain, attested.seq) == (GATEWAY, HEAD.chain, HEAD.seq)
    assert HEAD.digest.startswith(attested.digits)


async def test_a_service_cannot_sign_for_another_one(session: VaultSession) -> None:
    with pytest.raises(VaultUnavailableError):
        await TransitSigner(session, "keyvault-svc").sign(HEAD)
