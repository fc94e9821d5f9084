"""Dual control: what the key service seals only the gateway opens, and only under its name."""

from __future__ import annotations

import base64

import pytest

from gateway_svc.domain.errors import SealedKeyUnusableError
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.transit_sealer import TransitSealer
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.session import VaultSession
from tests.contract.vault_under_test import (
    VaultUnderTest,
    new_name,
    new_plaintext,
    tags_of,
)


async def _decrypt(session: VaultSession, ciphertext: str, context: str) -> None:
    body = {"ciphertext": ciphertext, "context": base64.b64encode(context.encode()).decode()}
    await session.call(
        lambda adapter: adapter.post("/v1/keyturn-transit/decrypt/openai", json=body), {}
    )


async def test_what_the_key_service_seals_opens_at_the_gateway(vault: VaultUnderTest) -> None:
    name, plaintext = new_name(), new_plaintext()
    async with vault.session("keyvault-svc") as session:
        sealed = await TransitSealer(session).seal(name, SecretBytes(plaintext), tags_of(name))

    assert await vault.opened(name, sealed.ciphertext) == plaintext


async def test_it_opens_under_no_other_name(vault: VaultUnderTest) -> None:
    name = new_name()
    record = await vault.given(name, new_plaintext())
    (ciphertext,) = record.ciphertexts

    with pytest.raises(SealedKeyUnusableError):
        await vault.opened(new_name(), ciphertext)


async def test_the_key_service_cannot_open(vault: VaultUnderTest) -> None:
    name = new_name()
    (ciphertext,) = (await vault.given(name, new_plaintext())).ciphertexts

    async with vault.session("keyvault-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await _decrypt(session, ciphertext, str(name))


async def test_the_maintenance_job_can_neither_open_nor_seal(vault: VaultUnderTest) -> None:
    name = new_name()
    (ciphertext,) = (await vault.given(name, new_plaintext())).ciphertexts

    async with vault.session("keyvault-maintenance") as session:
        with pytest.raises(VaultUnavailableError):
            await _decrypt(session, ciphertext, str(name))
        with pytest.raises(VaultUnavailableError):
            await TransitSealer(session).seal(name, SecretBytes(b"sk-new"), tags_of(name))


async def test_the_gateway_cannot_read_a_record(vault: VaultUnderTest) -> None:
    name = new_name()
    await vault.given(name, new_plaintext())

    async with vault.session("gateway-svc") as session:
        with pytest.raises(VaultUnavailableError):
            await session.call(lambda adapter: adapter.get(f"/v1/keyturn-kv/data/{name}"), {})


async def test_equal_plaintexts_have_equal_fingerprints_under_any_name(
    vault: VaultUnderTest,
) -> None:
    first, second = new_name(), new_name("other")
    plaintext = new_plaintext()
    records = [await vault.given(first, plaintext), await vault.given(second, plaintext)]
    other = await vault.given(new_name(), new_plaintext())

    assert records[0].fingerprints == records[1].fingerprints
    assert records[0].ciphertexts != records[1].ciphertexts
    assert other.fingerprints != records[0].fingerprints


async def test_a_rotation_of_the_transit_key_changes_no_fingerprint(
    own_vault: VaultUnderTest,
) -> None:
    name, api_key = new_name(), SecretBytes(new_plaintext())
    async with own_vault.session("keyvault-svc") as session:
        sealer = TransitSealer(session)
        before = await sealer.seal(name, api_key, tags_of(name))
        own_vault.server.client().write_data("keyturn-transit/keys/openai/rotate")
        after = await sealer.seal(name, api_key, tags_of(name))

    assert (before.epoch, after.epoch) == (1, 2)
    assert before.fingerprint == after.fingerprint
    assert await own_vault.opened(name, before.ciphertext) == api_key.expose()
    assert await own_vault.opened(name, after.ciphertext) == api_key.expose()


async def test_the_audit_log_names_the_key_and_shows_no_plaintext(vault: VaultUnderTest) -> None:
    name, plaintext = new_name(), new_plaintext()
    tags = AuditTags("request-of-the-audit-test", str(name), "lease-1", "spiffe://keyturn.test/a")
    async with vault.session("keyvault-svc") as session:
        sealed = await TransitSealer(session).seal(name, SecretBytes(plaintext), tags)
    await vault.opened(name, sealed.ciphertext)

    requests = vault.audited(tags.request_id)
    assert [request["path"] for request in requests] == [
        "keyturn-transit/hmac/fingerprint",
        "keyturn-transit/encrypt/openai",
    ]
    for request in requests:
        assert {header: request["headers"][header] for header in request["headers"]} == {
            "x-keyturn-request-id": [tags.request_id],
            "x-keyturn-key": [str(name)],
            "x-keyturn-lease": [tags.lease_id],
            "x-keyturn-app": [tags.app],
        }
    text = vault.server.audit_text()
    assert plaintext.decode() not in text
    assert base64.b64encode(plaintext).decode() not in text
    assert sealed.ciphertext not in text
