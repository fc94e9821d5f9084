"""Bootstrap on every server: once, and again."""

from __future__ import annotations

from keyvault_svc.vault.bootstrap import StepOutcome
from tests.contract.vault_under_test import VaultUnderTest


def _operations(vault: VaultUnderTest) -> list[str]:
    return [request["operation"] for request in vault.audited_requests()]


def test_a_second_bootstrap_changes_nothing(vault: VaultUnderTest) -> None:
    before = len(_operations(vault))
    results = vault.bootstrap()

    assert {result.outcome for result in results} == {StepOutcome.OK}
    assert set(_operations(vault)[before:]) <= {"read", "list"}


def test_it_leaves_one_audit_device_that_writes_every_request(vault: VaultUnderTest) -> None:
    root = vault.server.client()
    devices = root.sys.list_enabled_audit_devices()["data"]
    before = len(_operations(vault))
    root.read("keyturn-transit/keys/openai")

    assert len(devices) == 1
    assert _operations(vault)[before:] == ["read"]


def test_the_key_of_fingerprints_is_apart_from_that_of_plaintexts(vault: VaultUnderTest) -> None:
    root = vault.server.client()
    keys = {name: root.read(f"keyturn-transit/keys/{name}")["data"] for name in _KEYS}

    assert {name: key["derived"] for name, key in keys.items()} == _KEYS
    assert not any(key["exportable"] or key["deletion_allowed"] for key in keys.values())


_KEYS = {"openai": True, "fingerprint": False}
