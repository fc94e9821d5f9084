"""A bootstrap of a real server: from nothing, again, after drift, and where it must stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import hvac
import pytest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import (
    BootstrapError,
    BootstrapOptions,
    StepOutcome,
    StepResult,
    run_bootstrap,
)
from tests.live_files import FollowedFile

OPTIONS = BootstrapOptions(
    policy_dir=Path(__file__).resolve().parents[3] / "deploy/vault/policies",
    trust_domain="keyturn.test",
    issuer="https://vault.keyturn.test:8200",
    audit_file=None,
    owner_token_ttl_seconds=3600,
    app_token_ttl_seconds=600,
    dns_names={"gateway-svc": ["gateway.keyturn.test"]},
)
# What a bare server has from the start, if with other values.
NEVER_CREATED = {
    "audit device",
    "audited request headers",
    "configuration of keyturn-kv/",
    "OIDC issuer",
    "other logins",
}
TOTP = "the id that the server gave to the TOTP method"
TRANSIT_KEY = "keyturn-transit/keys/openai"


@dataclass
class Bootstrap:
    """The server, with what each run did to it."""

    server: OpenBaoServer
    log: FollowedFile
    runs: list[list[StepResult]] = field(default_factory=list)
    operations: list[set[str]] = field(default_factory=list)

    def run(self, *, dry_run: bool, options: BootstrapOptions = OPTIONS) -> list[StepResult]:
        """Run once, and keep which operations the audit log then holds in addition."""
        self.log.new_lines()
        results = run_bootstrap(
            self.server.client(), options, dry_run=dry_run, report=lambda _: None
        )
        self.operations.append(
            {json.loads(line)["request"]["operation"] for line in self.log.new_lines()}
        )
        self.runs.append(results)
        return results

    def wrong(
        self, *, dry_run: bool, options: BootstrapOptions = OPTIONS
    ) -> dict[str, StepOutcome]:
        """Run once and return the steps that were not right already, with their outcomes."""
        results = self.run(dry_run=dry_run, options=options)
        return {r.name: r.outcome for r in results if r.outcome is not StepOutcome.OK}


@pytest.fixture(scope="module")
def bootstrap(empty_openbao: OpenBaoServer) -> Bootstrap:
    """Return a server after a dry run, a run from nothing, a second run and a dry run."""
    runs = Bootstrap(empty_openbao, FollowedFile(empty_openbao.audit_log))
    for dry_run in (True, False, False, True):
        runs.run(dry_run=dry_run)
    return runs


@pytest.fixture
def repaired(bootstrap: Bootstrap) -> Iterator[Bootstrap]:
    """Return the server, whose damage by the test is repaired afterwards."""
    yield bootstrap
    bootstrap.run(dry_run=False)


def test_a_dry_run_of_a_bare_server_tells_all_and_only_reads(bootstrap: Bootstrap) -> None:
    found = {"audit device", "other logins"}
    outcomes = {r.name: r.outcome for r in bootstrap.runs[0] if r.name not in found}

    assert set(outcomes.values()) == {StepOutcome.DRIFT}
    assert bootstrap.operations[0] == {"read", "list"}


def test_the_first_run_creates_everything(bootstrap: Bootstrap) -> None:
    created = {r.name for r in bootstrap.runs[1] if r.outcome is StepOutcome.CREATED}

    assert created == {r.name for r in bootstrap.runs[1]} - NEVER_CREATED


def test_a_second_run_finds_all_right_and_only_reads(bootstrap: Bootstrap) -> None:
    assert {r.outcome for r in bootstrap.runs[2]} == {StepOutcome.OK}
    assert bootstrap.operations[2] == {"read", "list"}


def test_a_dry_run_after_that_reports_no_drift(bootstrap: Bootstrap) -> None:
    assert {r.outcome for r in bootstrap.runs[3]} == {StepOutcome.OK}


def test_a_single_audit_device_is_warned_about(bootstrap: Bootstrap) -> None:
    details = {r.name: r.detail for r in bootstrap.runs[2]}

    assert "production needs two" in details["audit device"]


def test_every_result_is_reported_as_it_comes(bootstrap: Bootstrap) -> None:
    reported: list[StepResult] = []

    results = run_bootstrap(
        bootstrap.server.client(), OPTIONS, dry_run=True, report=reported.append
    )

    assert reported == results


def test_without_an_issuer_nothing_of_oidc_is_looked_at(bootstrap: Bootstrap) -> None:
    results = bootstrap.run(dry_run=True, options=replace(OPTIONS, issuer=None))

    assert not [r.name for r in results if "OIDC" in r.name or "people" in r.name]


@pytest.mark.parametrize(
    ("path", "damage", "step"),
    [
        ("keyturn-kv/config", {"cas_required": False}, "configuration of keyturn-kv/"),
        ("keyturn-kv/config", {"max_versions": 3}, "configuration of keyturn-kv/"),
        (f"{TRANSIT_KEY}/config", {"deletion_allowed": True}, "transit key openai"),
        ("sys/policies/acl/gateway-svc", {"policy": 'path "*" {}'}, "policy gateway-svc"),
        (
            "auth/keyturn-approle/role/gateway-svc",
            {"token_policies": ["gateway-svc", "keyvault-svc"]},
            "AppRole gateway-svc",
        ),
        (
            "auth/keyturn-approle/role/keyvault-svc",
            {"token_no_default_policy": False},
            "AppRole keyvault-svc",
        ),
        (
            "sys/config/auditing/request-headers/X-Keyturn-Key",
            {"hmac": True},
            "audited request headers",
        ),
        ("sys/mounts/keyturn-pki/tune", {"max_lease_ttl": 60}, "mount keyturn-pki/"),
        ("keyturn-pki/roles/app", {"allow_any_name": True}, "certificate role app"),
        ("identity/oidc/config", {"issuer": "https://other.test"}, "OIDC issuer"),
        ("identity/oidc/key/keyturn", {"allowed_client_ids": ["*"]}, "OIDC signing key keyturn"),
        (
            "identity/oidc/role/keyturn-owner",
            {"key": "keyturn", "template": "{}"},
            "OIDC role keyturn-owner",
        ),
        (
            "identity/oidc/role/keyturn-owner-mfa",
            {"key": "keyturn", "template": "{}"},
            "OIDC role keyturn-owner-mfa",
        ),
        (
            "sys/auth/keyturn-people-mfa/tune",
            {"max_lease_ttl": 3600},
            "auth method keyturn-people-mfa/",
        ),
        (f"identity/mfa/method/totp/{TOTP}", {"issuer": "Other"}, "TOTP method keyturn-totp"),
    ],
)
def test_drift_is_seen_by_a_dry_run_and_mended_by_a_run(
    repaired: Bootstrap, path: str, damage: dict[str, object], step: str
) -> None:
    admin = repaired.server.client()
    [totp] = admin.list("identity/mfa/method/totp")["data"]["keys"]
    data = json.loads(json.dumps(damage).replace(TOTP, totp))
    admin.write_data(path.replace(TOTP, totp), data=data)

    assert repaired.wrong(dry_run=True) == {step: StepOutcome.DRIFT}
    assert repaired.wrong(dry_run=False) == {step: StepOutcome.CHANGED}
    assert repaired.wrong(dry_run=True) == {}


def test_a_lost_enforcement_of_the_second_factor_is_made_again(repaired: Bootstrap) -> None:
    step = "login enforcement keyturn-people-mfa"
    repaired.server.client().delete("identity/mfa/login-enforcement/keyturn-people-mfa")

    assert repaired.wrong(dry_run=True) == {step: StepOutcome.DRIFT}
    assert repaired.wrong(dry_run=False) == {step: StepOutcome.CREATED}


def test_an_enforcement_at_another_mount_is_mended(repaired: Bootstrap) -> None:
    step, admin = "login enforcement keyturn-people-mfa", repaired.server.client()
    other = admin.read("sys/auth")["data"]["keyturn-people/"]["accessor"]
    [totp] = admin.list("identity/mfa/method/totp")["data"]["keys"]
    damage = {"mfa_method_ids": [totp], "auth_method_accessors": [other]}
    admin.write_data("identity/mfa/login-enforcement/keyturn-people-mfa", data=damage)

    assert repaired.wrong(dry_run=True) == {step: StepOutcome.DRIFT}
    assert repaired.wrong(dry_run=False) == {step: StepOutcome.CHANGED}


def test_changed_options_change_only_what_they_concern(repaired: Bootstrap) -> None:
    options = replace(OPTIONS, app_token_ttl_seconds=60, dns_names={})

    assert repaired.wrong(dry_run=True, options=options) == {
        "certificate role gateway-svc": StepOutcome.DRIFT,
        "OIDC role keyturn-app": StepOutcome.DRIFT,
    }


@pytest.mark.parametrize(
    "nature",
    [
        {"type": "rsa-2048"},
        {"type": "chacha20-poly1305", "derived": True},
        {"type": "aes256-gcm96"},
        {"type": "aes256-gcm96", "derived": True, "convergent_encryption": True},
        {"type": "aes256-gcm96", "derived": True, "exportable": True},
        {"type": "aes256-gcm96", "derived": True, "allow_plaintext_backup": True},
    ],
    ids=str,
)
def test_a_transit_key_of_another_nature_stops_the_run_and_stays(
    repaired: Bootstrap, nature: dict[str, object]
) -> None:
    admin = repaired.server.client()
    _delete_transit_key(admin)
    admin.write_data(TRANSIT_KEY, data=nature)

    with pytest.raises(BootstrapError, match="Vault cannot change this") as stopped:
        repaired.run(dry_run=False)

    assert stopped.value.step == "transit key openai"
    assert admin.read(TRANSIT_KEY)["data"]["type"] == nature["type"]
    _delete_transit_key(admin)


def _delete_transit_key(admin: hvac.Client) -> None:
    admin.write_data(f"{TRANSIT_KEY}/config", data={"deletion_allowed": True})
    admin.delete(TRANSIT_KEY)


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("sys/auth/keyturn-people", {"type": "approle"}),
        ("sys/mounts/keyturn-pki", {"type": "transit"}),
        ("sys/mounts/keyturn-kv", {"type": "kv", "options": {"version": "1"}}),
    ],
)
def test_a_foreign_mount_under_our_name_stops_the_run_and_stays(
    repaired: Bootstrap, path: str, other: dict[str, object]
) -> None:
    admin = repaired.server.client()
    admin.delete(path)
    admin.write_data(path, data=other)

    with pytest.raises(BootstrapError, match="Find out who uses it"):
        repaired.run(dry_run=False)

    assert admin.read(path)["data"]["type"] == other["type"]
    admin.delete(path)


def _forbidden(client: hvac.Client) -> None:
    client.token = "no-such-token"


def _unreachable(client: hvac.Client) -> None:
    client.url = "https://127.0.0.1:1"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_forbidden, 'denies the token "read" on sys/audit.*"sudo"'),
        (_unreachable, "cannot be reached"),
    ],
)
def test_what_stops_the_run_is_told_with_step_and_remedy_but_without_any_secret(
    bootstrap: Bootstrap, damage: Callable[[hvac.Client], None], problem: str
) -> None:
    client = bootstrap.server.client()
    damage(client)

    with pytest.raises(BootstrapError, match=problem) as stopped:
        run_bootstrap(client, OPTIONS, dry_run=False, report=lambda _: None)

    assert stopped.value.step == "audit device"
    assert client.token not in str(stopped.value)
    assert not _holds_an_error_of_hvac(stopped.value)


def _holds_an_error_of_hvac(error: BaseException | None) -> bool:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return any(type(link).__module__.startswith(("hvac", "requests")) for link in chain)


def test_a_missing_policy_file_stops_the_run(bootstrap: Bootstrap, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="cannot be read") as stopped:
        bootstrap.run(dry_run=True, options=replace(OPTIONS, policy_dir=tmp_path))

    assert stopped.value.step == "policy keyvault-svc"
