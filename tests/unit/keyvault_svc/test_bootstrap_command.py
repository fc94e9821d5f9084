from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from keyvault_svc.__main__ import main
from keyvault_svc.bootstrap_command import BootstrapCommand, EmitFormat, bootstrap
from keyvault_svc.bootstrap_settings import BootstrapSettings
from keyvault_svc.settings import Settings
from keyvault_svc.vault.bootstrap.step import StepOutcome
from svc_runtime.settings_models import (
    KubernetesLoginSettings,
    SettingsError,
    TokenFileSettings,
    VaultLoginSettings,
    VaultSettings,
)

POLICIES = Path(__file__).parents[3] / "deploy/vault/policies"
LOGINS = ("keyvault-svc", "gateway-svc", "keyvault-maintenance")
KUBERNETES = {
    "host": "https://kubernetes.test",
    "service_accounts": {login: f"keyturn/{login}" for login in LOGINS},
    "is_reviewed_by_vault": True,
}
JWT = {
    "audiences": ["vault"],
    "subjects": {login: login for login in LOGINS},
    "discovery_url": "https://issuer.test",
}
EMIT = BootstrapCommand(token_file=None, emit=EmitFormat.CLI)


def _settings(**about: Any) -> Settings:  # noqa: ANN401 - tables as a file gives them
    section = BootstrapSettings(policy_dir=POLICIES, trust_domain="keyturn.test", **about)
    return Settings.model_construct(bootstrap=section)


@pytest.mark.parametrize(
    ("about", "mount"),
    [
        ({}, "keyturn-approle"),
        ({"login": "kubernetes", "kubernetes": KUBERNETES}, "keyturn-kubernetes"),
        (
            {"login": "certificate", "certificate": {"ca_file": POLICIES / "gateway-svc.hcl"}},
            "keyturn-cert",
        ),
        ({"login": "jwt", "jwt": JWT}, "keyturn-jwt"),
    ],
)
def test_the_chosen_login_alone_is_set_up(
    about: dict[str, Any], mount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap(_settings(**about), EMIT) == 0

    printed = capsys.readouterr().out
    mounts = {"keyturn-approle", "keyturn-kubernetes", "keyturn-cert", "keyturn-jwt"}
    assert {name for name in mounts if f"sys/auth/{name} " in printed} == {mount}


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"login": "kubernetes"}, "needs its own table"),
        ({"login": "jwt", "kubernetes": KUBERNETES}, "needs its own table"),
        ({"kubernetes": KUBERNETES}, "no other login's"),
        (
            {"login": "kubernetes", "kubernetes": {**KUBERNETES, "is_reviewed_by_vault": False}},
            "ca_file",
        ),
        (
            {
                "login": "kubernetes",
                "kubernetes": {**KUBERNETES, "service_accounts": {"gateway-svc": "a/b"}},
            },
            "service_accounts",
        ),
        ({"login": "jwt", "jwt": {**JWT, "jwks_url": "https://x.test"}}, "one of discovery_url"),
        ({"dns_names": {"other": []}}, "dns_names"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(about: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        bootstrap(_settings(**about), EMIT)


def test_terraform_is_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    command = BootstrapCommand(token_file=None, emit=EmitFormat.TERRAFORM)

    assert bootstrap(_settings(), command) == 0
    assert 'resource "vault_mount" "sys_mounts_keyturn_kv"' in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_told_with_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = BootstrapSettings(policy_dir=tmp_path, trust_domain="keyturn.test")

    assert bootstrap(Settings.model_construct(bootstrap=section), EMIT) == 1
    assert capsys.readouterr().err.startswith("policy keyvault-svc: The file")


@pytest.mark.parametrize("way", [["--token-file", "t", "--emit", "cli"], ["--emit", "puppet"]])
def test_the_command_line_takes_a_token_or_a_format(
    way: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bootstrap", "--config", "settings.toml", *way])

    assert stopped.value.code == 2
    assert "--emit" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-1", "soon", "1e9"])
def test_the_wait_is_a_number_of_seconds(seconds: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bootstrap", "--config", "settings.toml", "--wait", seconds])

    assert stopped.value.code == 2


def test_without_a_token_the_settings_must_say_how_to_log_in() -> None:
    settings = _settings()
    vault = VaultSettings.model_construct(address="https://127.0.0.1:1")
    settings = settings.model_copy(update={"vault": vault})

    with pytest.raises(SettingsError, match=r"\[bootstrap_login\]"):
        bootstrap(settings, BootstrapCommand(token_file=None))


@pytest.mark.parametrize("content", ["", "  \n", "s.tökén"])
def test_a_token_file_that_holds_no_token_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    vault = VaultSettings.model_construct(address="https://127.0.0.1:1")
    settings = _settings().model_copy(update={"vault": vault})

    with pytest.raises(SettingsError, match=re.escape(str(file))):
        bootstrap(settings, BootstrapCommand(file))


def test_a_vault_that_cannot_be_reached_is_told_with_the_login(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token_file = tmp_path / "jwt"
    token_file.write_text("a.b.c", encoding="ascii")
    settings = _settings().model_copy(
        update={
            "vault": VaultSettings(
                address="https://127.0.0.1:1",
                token=TokenFileSettings(file=token_file),
                request_timeout_seconds=0.1,
            ),
            "bootstrap_login": VaultLoginSettings(
                kubernetes=KubernetesLoginSettings(role="keyturn-bootstrap", token_file=token_file)
            ),
        }
    )

    assert bootstrap(settings, BootstrapCommand(token_file=None)) == 1
    assert "login: Vault cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("is_accepted", "unmet"),
    [
        (False, {StepOutcome.DRIFT, StepOutcome.MANUAL}),
        (True, {StepOutcome.DRIFT}),
    ],
)
def test_what_must_be_done_by_hand_is_a_failure_unless_it_is_accepted(
    is_accepted: bool,  # noqa: FBT001 - a parameter of the test
    unmet: set[StepOutcome],
) -> None:
    command = BootstrapCommand(token_file=None, is_manual_accepted=is_accepted)

    assert command.unmet == unmet
