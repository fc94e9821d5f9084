"""A bootstrap needs no root token: `keyturn-bootstrap.hcl` is enough, and no line of it is idle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidRequest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import (
    BootstrapError,
    BootstrapOptions,
    StepOutcome,
    StepResult,
    run_bootstrap,
)
from keyvault_svc.vault.bootstrap.login_options import LoginOptions
from tests.integration.keyvault_svc.bootstrap_policy_table import (
    ALL_GRANTS,
    DELETED,
    GRANTS,
    LISTING,
    POLICY,
    READ_POLICY,
    TOTP,
    WRITTEN,
    Grant,
    grants_in,
    kind_of,
)

DONE = {StepOutcome.OK, StepOutcome.CREATED, StepOutcome.CHANGED}


def _client(server: OpenBaoServer, grants: set[Grant]) -> hvac.Client:
    """Return a client with a token of *grants*, without their narrowing lines, and nothing else."""
    by_path: dict[str, set[str]] = {}
    for path, capability in grants:
        by_path.setdefault(path, set()).add(f'"{capability}"')
    stanzas = [
        f'path "{path}" {{ capabilities = [{", ".join(found)}] }}'
        for path, found in by_path.items()
    ]
    return _with_policy(server, "\n".join(stanzas))


def _with_policy(server: OpenBaoServer, text: str) -> hvac.Client:
    admin = server.client()
    admin.write_data("sys/policies/acl/bootstrap-test", data={"policy": text})
    token = {"policies": ["bootstrap-test"], "no_default_policy": True, "ttl": "60s"}
    client = server.client()
    client.token = admin.write_data("auth/token/create", data=token)["auth"]["client_token"]
    return client


def _run(client: hvac.Client, options: BootstrapOptions, *, dry_run: bool) -> list[StepResult]:
    return run_bootstrap(client, options, dry_run=dry_run, report=lambda _: None)


@pytest.fixture(scope="module")
def with_issuer(base: BootstrapOptions) -> BootstrapOptions:
    return replace(base, issuer="https://vault.keyturn.test:8200")


@pytest.fixture(scope="module")
def complete(
    empty_openbao: OpenBaoServer, with_issuer: BootstrapOptions, logins: Mapping[str, LoginOptions]
) -> dict[str, list[list[StepResult]]]:
    """Return what a dry run, a run from nothing and a second run told, for each way to log in."""
    told = {}
    for kind, login in logins.items():
        client = _with_policy(empty_openbao, POLICY)
        options = replace(with_issuer, login=login)
        told[kind] = [_run(client, options, dry_run=dry_run) for dry_run in (True, False, False)]
    return told


@pytest.mark.parametrize("kind", ["approle", "kubernetes", "certificate", "jwt"])
def test_the_policy_is_enough_for_all(
    complete: dict[str, list[list[StepResult]]], kind: str
) -> None:
    dry, first, second = complete[kind]

    assert StepOutcome.DRIFT in {r.outcome for r in dry}
    assert StepOutcome.CREATED in {r.outcome for r in first}
    assert {r.outcome for r in first} <= DONE
    assert {r.outcome for r in second} == {StepOutcome.OK}


def test_the_policy_to_look_holds_the_lines_that_read_and_no_others() -> None:
    looking = {path for path, capability in ALL_GRANTS if capability in {"read", "list"}}

    assert grants_in(READ_POLICY) == {
        ("auth/token/revoke-self", "update"),
        *(
            (path, capability)
            for path, capability in ALL_GRANTS
            if path in looking and capability in {"read", "list", "sudo"}
        ),
    }


@pytest.mark.usefixtures("complete")
def test_a_dry_run_needs_only_to_look(
    empty_openbao: OpenBaoServer, with_issuer: BootstrapOptions
) -> None:
    client = _with_policy(empty_openbao, READ_POLICY)
    empty_openbao.client().write_data("keyturn-kv/config", data={"max_versions": 3})

    wrong = {
        r.name for r in _run(client, with_issuer, dry_run=True) if r.outcome is not StepOutcome.OK
    }

    assert wrong == {"configuration of keyturn-kv/"}
    with pytest.raises(BootstrapError):
        _run(client, with_issuer, dry_run=False)


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("grant", sorted(GRANTS), ids=" ".join)
def test_a_bootstrap_fails_without_a_line_and_names_it(
    empty_openbao: OpenBaoServer,
    with_issuer: BootstrapOptions,
    logins: Mapping[str, LoginOptions],
    grant: Grant,
) -> None:
    path, capability = grant
    admin = empty_openbao.client()
    options = replace(with_issuer, login=logins[kind_of(path)])
    [totp] = admin.list("identity/mfa/method/totp")["data"]["keys"]
    for damaged, damage in WRITTEN.get(grant, {}).items():
        admin.write_data(damaged.replace(TOTP, totp), data=damage)
    for deleted in DELETED.get(grant, []):
        admin.delete(deleted.replace(TOTP, totp))

    with pytest.raises(BootstrapError) as stopped:
        _run(_client(empty_openbao, GRANTS - {grant}), options, dry_run=grant == LISTING)
    mended = _run(_with_policy(empty_openbao, POLICY), options, dry_run=False)

    told = f"{stopped.value.problem} {stopped.value.remedy}"
    assert f'"{capability}"' in told
    assert re.search(path.replace("+", "[^/ ]+") + "[ .]", told)
    assert {r.outcome for r in mended} <= DONE


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sys/policies/acl/keyturn-bootstrap", {"policy": 'path "*" {}'}),
        ("sys/policies/acl/other", {"policy": ""}),
        ("sys/mounts/other", {"type": "kv"}),
        ("sys/auth/other", {"type": "userpass"}),
        ("sys/auth/keyturn-approle/tune", {"default_lease_ttl": "1h"}),
        ("auth/keyturn-approle/role/gateway-svc/secret-id", {}),
        ("auth/keyturn-people/users/mallory", {"password": "x"}),
        ("auth/token/create", {}),
        ("keyturn-kv/data/users/alice/keys/openai", {"data": {}, "options": {"cas": 0}}),
        ("keyturn-transit/keys/openai/rotate", {}),
        ("keyturn-transit/keys/openai/config", {"deletion_allowed": True}),
        ("keyturn-transit/keys/openai/config", {"exportable": True}),
        ("keyturn-transit/keys/fingerprint/config", {"deletion_allowed": True}),
        ("keyturn-transit/encrypt/openai", {"plaintext": ""}),
        ("keyturn-transit/decrypt/openai", {"ciphertext": ""}),
        ("keyturn-transit/hmac/fingerprint", {"input": ""}),
        ("keyturn-pki/root/generate/exported", {"common_name": "x"}),
        ("keyturn-pki/issue/app", {"uri_sans": "spiffe://keyturn.test/app/x"}),
        ("identity/entity", {"name": "x"}),
    ],
    ids=str,
)
def test_the_policy_is_for_nothing_else(
    empty_openbao: OpenBaoServer, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden):
        _with_policy(empty_openbao, POLICY).write_data(path, data=body)


@pytest.mark.parametrize("capability", ["update", "sudo"])
def test_an_audit_device_may_be_enabled_where_vault_allows_that_by_request(
    empty_openbao: OpenBaoServer, capability: str
) -> None:
    path, device = "sys/audit/keyturn", {"type": "file", "options": {"file_path": "audit.log"}}
    grants = {(path, "update"), (path, "sudo")}

    # OpenBao refuses every such request, after it has looked at the policy.
    with pytest.raises(InvalidRequest, match="declarative"):
        _with_policy(empty_openbao, POLICY).write_data(path, data=device)
    with pytest.raises(Forbidden):
        _client(empty_openbao, grants - {(path, capability)}).write_data(path, data=device)
