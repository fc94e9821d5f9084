from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway_svc.settings import Settings as GatewaySettings
from keyturn_cli.local.layout import DEMO_APP, Layout
from keyturn_cli.local.service_settings import (
    Variant,
    VaultPlace,
    gateway_settings,
    key_service_settings,
)
from keyvault_svc.settings import Settings as KeyServiceSettings

VAULT = "https://127.0.0.1:8200"
KEY = "users/alice/keys/standin"
HOMES = [".keyturn", 'home of "alice"', "back\\slash", "ümläut", "a'b"]


@pytest.fixture(params=HOMES)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / request.param)
    layout.home.mkdir()
    return layout


def test_the_key_service_takes_its_settings(layout: Layout) -> None:
    ports = {"owner": 1001, "gateway": 1002, "health": 1003, "metrics": 1004}
    file = layout.service_settings("keyvault-svc")
    place = VaultPlace(VAULT, layout.home / "ca.pem")
    file.write_text(key_service_settings(layout, place, ports, Variant()))

    settings = KeyServiceSettings.load(file)

    assert settings.owner_address == "127.0.0.1:1001"
    assert settings.gateway_address == "127.0.0.1:1002"
    assert settings.health_address == "127.0.0.1:1003"
    assert settings.tls.certificate == layout.certificate("keyvault-svc")[0]
    assert settings.vault.approle is not None
    assert settings.vault.approle.secret_id_file == layout.home / "keyvault-svc.secret-id"
    assert settings.people.issuer == f"{VAULT}/v1/identity/oidc"
    assert settings.people.operator_groups == ("keyturn-operators",)
    assert settings.people.auditor_groups == ("keyturn-auditors",)
    assert [issuer.app_claim for issuer in settings.app_issuers] == ["keyturn_app"]


def test_the_gateway_takes_its_settings(layout: Layout) -> None:
    ports = {"grpc": 1001, "http": 1002, "health": 1003, "metrics": 1004}
    file = layout.service_settings("gateway-svc")
    file.write_text(
        gateway_settings(
            layout,
            VaultPlace(VAULT, layout.home / "ca.pem"),
            ports,
            key_service_target="ipv4:127.0.0.1:1,127.0.0.1:2",
            upstream="http://127.0.0.1:9/v1",
            default_key=KEY,
            variant=Variant(telemetry={"trace_ratio": 1.0}),
        )
    )

    settings = GatewaySettings.load(file)

    assert settings.grpc_address == "127.0.0.1:1001"
    assert settings.http_address == "127.0.0.1:1002"
    assert settings.health_address == "127.0.0.1:1003"
    assert settings.key_service.target == "ipv4:127.0.0.1:1,127.0.0.1:2"
    assert settings.openai.base_url == "http://127.0.0.1:9/v1"
    assert settings.tls.ca == layout.ca_file
    assert settings.default_keys == {DEMO_APP: KEY}
    assert settings.telemetry.trace_ratio == 1.0


def test_the_gateway_refuses_an_unencrypted_upstream_elsewhere(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    text = gateway_settings(
        layout,
        VaultPlace(VAULT, tmp_path / "ca.pem"),
        {"grpc": 1, "http": 2, "health": 3, "metrics": 4},
        key_service_target="ipv4:127.0.0.1:1",
        upstream="http://openai.example/v1",
        default_key=KEY,
        variant=Variant(),
    )
    openai = tomllib.loads(text)["openai"]

    with pytest.raises(ValueError, match="http is for loopback"):
        GatewaySettings.model_validate({"openai": openai})


def test_no_setting_holds_a_secret(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    secret_id = "a-secret-id"
    (tmp_path / "keyvault-svc.secret-id").write_text(secret_id)

    text = key_service_settings(
        layout,
        VaultPlace(VAULT, tmp_path / "ca.pem"),
        {"owner": 1, "gateway": 2, "health": 3, "metrics": 4},
        Variant(),
    )

    assert secret_id not in text
    assert str(tmp_path / "keyvault-svc.secret-id") in text
