from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keyvault_svc.domain.handoff import DEFAULT_LEASE_SECONDS
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.retention import RetentionPolicy
from keyvault_svc.domain.roles import RoleRules
from keyvault_svc.settings import HandoffKind, Settings
from svc_runtime.settings_models import SettingsError

GATEWAY = "spiffe://example.org/svc/gateway-svc"
OPENAI = frozenset(f"https://{host}.openai.com/v1" for host in ("api", "us.api", "eu.api"))
REQUIRED = """
owner_address = "127.0.0.1:8443"
gateway_address = "127.0.0.1:8444"
health_address = "127.0.0.1:8080"
gateways = ["spiffe://example.org/svc/gateway-svc"]
{top}
[tls]
certificate = "tls.crt"
key = "tls.key"
ca = "ca.crt"
[vault]
address = "https://vault.example:8200"
[vault.approle]
role_id_file = "role-id"
secret_id_file = "secret-id"
[people]
issuer = "https://vault.example:8200/v1/identity/oidc"
audience = "keyturn"
name_claim = "sub"
jwks_url = "https://vault.example:8200/v1/identity/oidc/.well-known/keys"
[limits]
file = "limits.db"
{sections}
"""


def _load(folder: Path, *, top: str = "", sections: str = "") -> Settings:
    path = folder / "keyvault.toml"
    path.write_text(REQUIRED.format(top=top, sections=sections), encoding="utf-8")
    return Settings.load(path)


def _refusal(folder: Path, *, top: str = "", sections: str = "") -> str:
    with pytest.raises(SettingsError) as caught:
        _load(folder, top=top, sections=sections)
    return str(caught.value)


def test_what_is_not_set_has_a_safe_default(tmp_path: Path) -> None:
    settings = _load(tmp_path)

    assert settings.gateways == (GATEWAY,)
    assert settings.lease_seconds == DEFAULT_LEASE_SECONDS
    assert settings.app_issuers == ()
    assert settings.bootstrap is None
    assert settings.people.groups_claim == "groups"


def test_nobody_audits_or_operates_unless_a_group_is_named(tmp_path: Path) -> None:
    assert _load(tmp_path).people.role_rules() == RoleRules(
        "{team}-admins", auditor_groups=frozenset(), operator_groups=frozenset()
    )


def test_roles_are_made_by_the_groups_that_are_set(tmp_path: Path) -> None:
    text = REQUIRED.replace(
        "[people]",
        """[people]
team_admin_group = "Keyturn/{{team}}/Admin"
auditor_groups = ["audit"]
operator_groups = ["sre", "on call"]""",
    )
    path = tmp_path / "keyvault.toml"
    path.write_text(text.format(top="", sections=""), encoding="utf-8")

    assert Settings.load(path).people.role_rules() == RoleRules(
        "Keyturn/{team}/Admin", frozenset({"audit"}), frozenset({"sre", "on call"})
    )


@pytest.mark.parametrize(
    "group", ["", "admins", "{{team}}-{{team}}", "{{teams}}-admins", "{{team}}-{{x}}", "}}{{team}}"]
)
def test_a_group_of_admins_that_does_not_say_of_which_team_is_refused(
    tmp_path: Path, group: str
) -> None:
    text = REQUIRED.replace("[people]", f'[people]\nteam_admin_group = "{group}"')
    path = tmp_path / "keyvault.toml"
    path.write_text(text.format(top="", sections=""), encoding="utf-8")

    with pytest.raises(SettingsError, match=r"people\.team_admin_group"):
        Settings.load(path)


@pytest.mark.parametrize("setting", ["auditor_groups", "operator_groups"])
def test_an_empty_name_is_no_group_of_operators(tmp_path: Path, setting: str) -> None:
    text = REQUIRED.replace("[people]", f'[people]\n{setting} = [""]')
    path = tmp_path / "keyvault.toml"
    path.write_text(text.format(top="", sections=""), encoding="utf-8")

    with pytest.raises(SettingsError, match=setting):
        Settings.load(path)


def test_keys_have_the_rules_of_the_domain_unless_others_are_set(tmp_path: Path) -> None:
    settings = _load(tmp_path)

    assert settings.keys.policy() == KeyPolicy(base_urls=OPENAI)
    assert settings.keys.handoff is HandoffKind.INLINE
    assert settings.retention.policy() == RetentionPolicy()


def test_rules_of_keys_are_set_in_days_and_seconds_and_0_is_never(tmp_path: Path) -> None:
    keys = """
[keys]
rotate_after_days = 0
max_age_days = 365
overlap_seconds = 0
refuse_shared = true
handoff = "wrapped"
[retention]
vault_backup_days = 30
"""

    settings = _load(tmp_path, sections=keys)

    assert settings.keys.policy() == KeyPolicy(
        rotate_after=None,
        max_age=timedelta(days=365),
        overlap=timedelta(),
        are_shared_keys_refused=True,
        base_urls=OPENAI,
    )
    assert settings.keys.handoff is HandoffKind.WRAPPED
    assert settings.retention.policy() == RetentionPolicy(vault_backups=timedelta(days=30))


@pytest.mark.parametrize(
    "setting",
    [
        "keys.rotate_after_days = -1",
        "keys.max_age_days = 3651",
        "keys.overlap_seconds = 2592001",
        'keys.handoff = "canary"',
        "retention.service_log_days = -1",
    ],
)
def test_a_rule_outside_its_range_is_refused(tmp_path: Path, setting: str) -> None:
    text = _refusal(tmp_path, top=setting)

    assert setting.split(" ", maxsplit=1)[0] in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ('[unknown]\nx = "canary"', "unknown"),
        (
            '[[app_issuers]]\nissuer = "https://i"\naudience = "a"\njwks_url = "https://i"\nx = 1',
            "app_issuers.0.x",
        ),
    ],
)
def test_an_unknown_setting_is_refused_by_its_name(
    tmp_path: Path, sections: str, place: str
) -> None:
    text = _refusal(tmp_path, sections=sections)

    assert place in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "setting",
    [
        "lease_seconds = 0",
        "lease_seconds = 31",
        'lease_seconds = "canary"',
        "settle_within_seconds = 0",
        "max_deadline_seconds = 0",
        "max_deadline_seconds = 301",
        "drain_seconds = -1",
    ],
)
def test_a_time_outside_its_range_is_refused(tmp_path: Path, setting: str) -> None:
    text = _refusal(tmp_path, top=setting)

    assert setting.split(" ", maxsplit=1)[0] in text
    assert "canary" not in text


@pytest.mark.parametrize("gateways", ["[]", '["canary"]', '["spiffe://example.org"]'])
def test_gateways_are_spiffe_ids_and_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateways: str
) -> None:
    monkeypatch.setenv("KEYVAULT_SVC_GATEWAYS", gateways)

    text = _refusal(tmp_path)

    assert "gateways" in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEYVAULT_SVC_OWNER_ADDRESS", "canary"),
        ("KEYVAULT_SVC_OWNER_ADDRESS", "canary:443:1"),
        ("KEYVAULT_SVC_VAULT__ADDRESS", "http://canary:8200"),
        ("KEYVAULT_SVC_PEOPLE__ISSUER", "http://canary"),
        ("KEYVAULT_SVC_PEOPLE__JWKS_URL", "file:///canary"),
        ("KEYVAULT_SVC_PEOPLE__AUDIENCE", ""),
        ("KEYVAULT_SVC_GATEWAYS", "canary"),
        ("KEYVAULT_SVC_TLS__PASSWORD", "canary"),
    ],
)
def test_a_malformed_override_is_refused_without_being_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    text = _refusal(tmp_path)

    assert variable.removeprefix("KEYVAULT_SVC_").replace("__", ".").lower() in text
    assert "canary" not in text


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYVAULT_SVC_LEASE_SECONDS", "5")
    monkeypatch.setenv("KEYVAULT_SVC_VAULT__APPROLE__MOUNT", "other")
    monkeypatch.setenv("KEYVAULT_SVC_GATEWAYS", '["spiffe://example.org/svc/other"]')

    settings = _load(tmp_path, top="lease_seconds = 7")

    assert settings.lease_seconds == 5
    assert settings.vault.approle is not None
    assert settings.vault.approle.mount == "other"
    assert settings.gateways == ("spiffe://example.org/svc/other",)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("", encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        Settings.load(path)

    assert {"owner_address", "gateways", "tls", "vault", "people"} <= {
        problem.partition(":")[0] for problem in str(caught.value).split("; ")
    }
