"""Heads of audit streams: each service has Vault sign its own, and anybody can verify it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keyturn_cli.audit.signing_keys import Signatures, read_signing_keys
from keyvault_svc.vault.paths import AUDIT_KEYS
from svc_runtime.audit_stream.chain import Head
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.transit_signer import TransitSigner
from tests.contract.vault_under_test import VaultUnderTest

SERVICES = ("keyvault-svc", "gateway-svc")
OTHER = dict(zip(SERVICES, reversed(SERVICES), strict=True))


def _head(service: str) -> Head:
    return Head(f"{service}-0011223344556677", 12, "0123456789abcdef" * 4)


@pytest.fixture
def signatures(vault: VaultUnderTest, tmp_path: Path) -> Signatures:
    """The public keys, as Vault tells them."""
    root = vault.server.client()
    file = tmp_path / "signing-keys.json"
    answers = [root.read(f"keyturn-transit/keys/{name}") for name in AUDIT_KEYS]
    file.write_text("\n".join(json.dumps(answer) for answer in answers))
    return Signatures(read_signing_keys(file))


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_signs_and_its_public_key_verifies(
    vault: VaultUnderTest, signatures: Signatures, service: str
) -> None:
    head = _head(service)
    async with vault.session(service) as session:
        signature = await TransitSigner(session, service).sign(head)

    assert signatures.is_right(service, head, signature)
    assert not signatures.is_right(OTHER[service], head, signature)
    [request] = vault.audited(head.request_id())
    assert request["path"] == f"keyturn-transit/sign/audit-{service}"


@pytest.mark.parametrize("service", [*SERVICES, "keyvault-maintenance"])
async def test_nobody_signs_for_another_service(vault: VaultUnderTest, service: str) -> None:
    others = [other for other in SERVICES if other != service]
    async with vault.session(service) as session:
        for other in others:
            with pytest.raises(VaultUnavailableError):
                await TransitSigner(session, other).sign(_head(other))
