"""The doctor compares Vault with its set-up, by the key service's own command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keyturn_cli.check_result import CheckResult
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.drift_check import AdminAccess, check_drift
from keyturn_cli.local.layout import Layout
from keyturn_cli.local.openbao_server import OpenBaoServer
from keyturn_cli.local.service_settings import Variant, VaultPlace, key_service_settings
from keyvault_svc.vault.bootstrap import BootstrapOptions
from tests.integration.keyvault_svc.login_choices import wrong

PORTS = dict.fromkeys(("owner", "gateway", "health", "metrics"), 1)
DAY_SECONDS = 8 * 3600


@pytest.fixture
def config(empty_openbao: OpenBaoServer, tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    vault = VaultPlace(empty_openbao.address, empty_openbao.ca_file)
    file.write_text(key_service_settings(Layout(tmp_path), vault, PORTS, Variant()))
    return file


@pytest.fixture
def set_up(empty_openbao: OpenBaoServer, base: BootstrapOptions) -> OpenBaoServer:
    options = replace(
        base,
        trust_domain="keyturn.local",
        issuer=empty_openbao.address,
        owner_token_ttl_seconds=DAY_SECONDS,
        app_token_ttl_seconds=DAY_SECONDS,
    )
    wrong(empty_openbao, options, dry_run=False)
    return empty_openbao


async def _doctor(folder: Path, config: Path | None, token: Path | None) -> dict[str, CheckResult]:
    settings = ClientSettings(folder / "client.env", folder, {}, {})
    results = await check_drift(settings, AdminAccess(config, token))
    return {result.name: result for result in results}


async def test_a_server_as_bootstrapped_is_well(
    set_up: OpenBaoServer, config: Path, tmp_path: Path
) -> None:
    found = await _doctor(tmp_path, config, set_up.root_token_file)

    assert {name: result.state.value for name, result in found.items()} == {
        "Vault audit device": "ok",
        "Vault audited headers": "ok",
        "Vault logins and token TTLs": "ok",
        "Vault set-up": "ok",
    }


async def test_each_drift_is_told_by_itself(
    set_up: OpenBaoServer, config: Path, tmp_path: Path
) -> None:
    admin = set_up.client()
    admin.write_data("auth/keyturn-approle/role/gateway-svc", data={"token_ttl": 3600})
    admin.write_data("sys/policies/acl/keyvault-svc", data={"policy": "# empty"})

    found = await _doctor(tmp_path, config, set_up.root_token_file)

    problems = {name: r.detail for name, r in found.items() if r.state.value == "problem"}
    assert problems["Vault set-up: AppRole gateway-svc"] == "token_ttl is 3600, not 900"
    assert problems["Vault set-up: policy keyvault-svc"].startswith("differs from ")
    assert len(problems) == 2
    assert str(config) in found["Vault set-up: AppRole gateway-svc"].mend


async def test_a_token_that_may_not_look_is_told_with_what_it_lacks(
    set_up: OpenBaoServer, config: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    answer = set_up.client().write_data("auth/token/create", data={"policies": ["default"]})
    token.write_text(answer["auth"]["client_token"])

    found = await _doctor(tmp_path, config, token)

    assert "sys/audit" in found["Vault audit device"].mend
    assert found["Vault set-up"].state.value == "skipped"


async def test_what_is_not_at_hand_is_skipped_with_the_reason(config: Path, tmp_path: Path) -> None:
    without_config = await _doctor(tmp_path, None, None)
    without_token = await _doctor(tmp_path, config, None)

    assert "--config" in without_config["Vault set-up"].detail
    assert "--vault-token-file" in without_token["Vault set-up"].detail
