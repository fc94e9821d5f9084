"""Vault holds the two halves apart: what each real login may do, and nothing more.

Every grant of the policy files is exercised by exactly one allowed row of `dual_control_table`,
which fails without that grant; the denied rows are everything else.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap.access_steps import access_steps
from keyvault_svc.vault.bootstrap.key_storage_steps import key_storage_steps
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin
from tests.integration.dual_control_stage import DualControl
from tests.integration.dual_control_table import (
    ALICE,
    ALLOWED,
    CONSTRAINTS,
    DENIED,
    MALLORY,
    PLAINTEXT,
    SEALED,
    Request,
)

POLICY_DIR = Path(__file__).resolve().parents[2] / "deploy/vault/policies"
GRANT = re.compile(
    r'^path "(?P<path>[^"]+)" \{\n\s*capabilities\s*= \[(?P<list>[^\]]*)\]', re.MULTILINE
)
# A line that narrows a grant: a TTL, or one parameter of a map.
CONSTRAINT = r'^\s*"?{name}"?\s*= .*\n'
ANY_CONSTRAINT = re.compile(r'^ +(?:(\w+) += "|"(\w+)" = \[\])', re.MULTILINE)

ALLOWED_ROWS = [
    pytest.param(service, grant, request, id=f"{service} {request}")
    for service, rows in ALLOWED.items()
    for grant, request in rows.items()
]
DENIED_ROWS = [
    pytest.param(service, request, id=f"{service} {request}")
    for service, requests in DENIED.items()
    for request in requests
]
CONSTRAINT_ROWS = [
    pytest.param(service, line, request, id=f"{service} {line} {request}")
    for service, line, request in CONSTRAINTS
]


@pytest.fixture(scope="module")
def sealed(openbao: OpenBaoServer) -> DualControl:
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
    answer = admin.write_data("keyturn-transit/encrypt/openai", data=ALICE | PLAINTEXT)
    dual_control = DualControl(openbao, answer["data"]["ciphertext"])
    dual_control.store_documents()
    return dual_control


@pytest.fixture(scope="module")
def logins(sealed: DualControl) -> dict[str, hvac.Client]:
    return {service: sealed.log_in(service) for service in DENIED}


@pytest.fixture
def dual_control(sealed: DualControl) -> DualControl:
    sealed.store_documents()
    return sealed


def _policy(service: str) -> str:
    return (POLICY_DIR / f"{service}.hcl").read_text(encoding="utf-8")


def _grants(service: str) -> set[tuple[str, str]]:
    return {
        (found["path"], capability)
        for found in GRANT.finditer(_policy(service))
        for capability in re.findall(r'"(\w+)"', found["list"])
    }


def _policy_without(service: str, grant: tuple[str, str]) -> str:
    path, capability = grant
    stanzas = _grants(service) - {(path, capability)}
    return "\n".join(f'path "{p}" {{ capabilities = ["{c}"] }}' for p, c in stanzas)


@pytest.mark.parametrize("service", ALLOWED)
def test_the_table_of_allowed_requests_names_every_grant_of_the_policy_file(service: str) -> None:
    text = _policy(service)

    assert len(GRANT.findall(text)) == text.count("capabilities")
    assert _grants(service) == set(ALLOWED[service])


@pytest.mark.parametrize("service", ALLOWED)
def test_the_table_of_constraints_names_every_line_that_narrows_a_grant(service: str) -> None:
    lines = ["".join(found) for found in ANY_CONSTRAINT.findall(_policy(service))]

    assert sorted(lines) == sorted(line for of, line, _ in CONSTRAINTS if of == service)


@pytest.mark.parametrize(("service", "grant", "request_"), ALLOWED_ROWS)
def test_a_service_may_do_what_it_needs(
    dual_control: DualControl, service: str, grant: tuple[str, str], request_: Request
) -> None:
    del grant

    dual_control.send(dual_control.log_in(service), request_)


@pytest.mark.parametrize(("service", "grant", "request_"), ALLOWED_ROWS)
def test_a_service_may_do_it_only_by_that_line_of_its_policy(
    dual_control: DualControl, service: str, grant: tuple[str, str], request_: Request
) -> None:
    client = dual_control.client_with_policy(_policy_without(service, grant))

    with pytest.raises(Forbidden):
        dual_control.send(client, request_)


@pytest.mark.parametrize(("service", "line", "request_"), CONSTRAINT_ROWS)
def test_a_request_is_denied_only_by_the_line_that_narrows_its_grant(
    dual_control: DualControl, service: str, line: str, request_: Request
) -> None:
    whole = _policy(service)
    without, count = re.subn(CONSTRAINT.format(name=line), "", whole, flags=re.MULTILINE)
    assert count == 1
    if line in {"min_decryption_version", "input"}:  # an empty map would still deny everything else
        without = without.replace("allowed_parameters = {\n  }\n", "")

    with pytest.raises(Forbidden):
        dual_control.send(dual_control.client_with_policy(whole), request_)
    with contextlib.suppress(InvalidRequest):  # past the policy, and refused as it stands
        dual_control.send(dual_control.client_with_policy(without), request_)


@pytest.mark.parametrize(("service", "request_"), DENIED_ROWS)
def test_a_service_may_do_nothing_else(
    sealed: DualControl, logins: dict[str, hvac.Client], service: str, request_: Request
) -> None:
    with pytest.raises(Forbidden):
        sealed.send(logins[service], request_)


@pytest.mark.parametrize("service", ALLOWED)
def test_a_service_token_bears_its_own_policy_only_and_lives_fifteen_minutes(
    dual_control: DualControl, service: str
) -> None:
    token = dual_control.log_in(service).read("auth/token/lookup-self")["data"]

    assert (token["policies"], token["creation_ttl"]) == ([service], 900)


def test_the_gateway_takes_once_what_the_key_service_wrapped(dual_control: DualControl) -> None:
    token = dual_control.wrapped(dual_control.log_in("keyvault-svc"))
    gateway = dual_control.log_in("gateway-svc")

    about = gateway.write_data("sys/wrapping/lookup", data={"token": token})["data"]
    taken = gateway.write_data("sys/wrapping/unwrap", data={"token": token})

    assert (about["creation_path"], about["creation_ttl"]) == ("sys/wrapping/wrap", 30)
    assert taken["data"] == {"sealed_key": "something"}
    with pytest.raises(InvalidRequest, match="wrapping token is not valid or does not exist"):
        gateway.write_data("sys/wrapping/unwrap", data={"token": token})


def test_the_gateway_opens_what_the_key_service_sealed(dual_control: DualControl) -> None:
    sealing = Request("POST", "keyturn-transit/encrypt/openai", ALICE | PLAINTEXT)
    ciphertext = dual_control.send(dual_control.log_in("keyvault-svc"), sealing)["data"][
        "ciphertext"
    ]

    opened = dual_control.log_in("gateway-svc").write_data(
        "keyturn-transit/decrypt/openai", data=ALICE | {"ciphertext": ciphertext}
    )

    assert opened["data"]["plaintext"] == PLAINTEXT["plaintext"]


def test_a_record_copied_under_another_name_does_not_open(dual_control: DualControl) -> None:
    opening = Request("POST", "keyturn-transit/decrypt/openai", MALLORY | SEALED)

    with pytest.raises(InvalidRequest, match="message authentication failed"):
        dual_control.send(dual_control.log_in("gateway-svc"), opening)


def test_a_sealed_key_does_not_open_without_a_name(dual_control: DualControl) -> None:
    with pytest.raises(InvalidRequest):
        dual_control.send(
            dual_control.log_in("gateway-svc"),
            Request("POST", "keyturn-transit/decrypt/openai", SEALED),
        )


def test_a_write_that_does_not_check_the_version_is_refused(dual_control: DualControl) -> None:
    blind = Request("POST", "keyturn-kv/data/users/alice/keys/openai", {"data": {"sealed": "x"}})

    with pytest.raises(InvalidRequest, match="check-and-set"):
        dual_control.send(dual_control.log_in("keyvault-svc"), blind)


def test_a_destroyed_version_stays_unreadable(dual_control: DualControl) -> None:
    client = dual_control.log_in("keyvault-svc")
    dual_control.send(
        client, Request("POST", "keyturn-kv/destroy/users/alice/keys/openai", {"versions": [1]})
    )

    with pytest.raises(InvalidPath):
        dual_control.send(client, Request("GET", "keyturn-kv/data/users/alice/keys/openai"))
