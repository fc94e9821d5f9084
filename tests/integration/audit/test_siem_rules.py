"""The Sigma rules for Vault's log fire on what a thief does to a real Vault, and not on a day."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from keyturn_cli.audit.entries import parse_time_us
from tests.e2e.clients import Clients
from tests.integration.audit.abuse_table import ABUSES
from tests.integration.audit.day import Day
from tests.integration.audit.thief import Thief
from tests.integration.siem.ecs import Form
from tests.integration.siem.rules import RULES, firing, product

ABUSE_OF = {
    "vault_audit_changed": "root hides the leases from the log",
    "vault_decrypt_by_other": "root opens a stolen sealed key",
    "vault_decrypt_without_lease": "a stolen login of the gateway opens one under no lease",
    "vault_handoff_taken_by_other": "a wrapped key is stolen with its token alone",
    "vault_login_changed": "root makes a secret id",
    "vault_policy_changed": "the gateway reads a record by a wide policy",
    "vault_record_touched_by_other": "root reads a record",
    "vault_root_token_used": "root lists owners",
    "vault_sealing_by_other": "root signs for a service",
    "vault_sealing_key_changed": "root exports the transit key",
    "vault_service_denied": "the gateway tries to read a record",
    "vault_storage_reached": "root takes a snapshot",
}
FORM = pytest.mark.parametrize("form", Form)


@pytest.fixture(scope="session")
def thief(lived: tuple[Day, Clients]) -> Thief:
    """Somebody with the stack's root token, and its services' credentials."""
    return Thief(lived[1])


def test_every_rule_for_vaults_log_has_an_abuse() -> None:
    assert {f"keyturn_{rule}" for rule in ABUSE_OF} == {
        rule for rule in RULES if product(rule) == "vault"
    }


@pytest.mark.parametrize("rule", ABUSE_OF)
def test_a_rule_fires_on_an_abuse(lived: tuple[Day, Clients], thief: Thief, rule: str) -> None:
    log = lived[1].stack.openbao.audit_log
    begin = len(log.read_bytes())

    ABUSES[ABUSE_OF[rule]][0](thief)

    lines = _texts(log.read_bytes()[begin:].splitlines())
    fired = [firing("vault", form, lines) for form in Form]
    assert f"keyturn_{rule}" in fired[0]
    assert fired[0] == fired[1]


@FORM
def test_no_rule_fires_on_a_day_of_vaults_log_outside_of_its_window(day: Day, form: Form) -> None:
    end_us = max(window.end_us for window in day.windows)
    lines = [line for line in _texts(day.vault) if _time_us(line) > end_us]

    assert len(lines) > 500
    assert firing("vault", form, lines) == set()


@FORM
def test_operators_acts_alone_fire_in_the_services_logs_of_a_day(day: Day, form: Form) -> None:
    lines = [line for log in day.services.values() for line in _texts(log)]

    assert firing("keyturn", form, lines) == {"keyturn_operator_act"}


def _texts(lines: Iterable[bytes]) -> list[str]:
    return [line.decode() for line in lines if line.startswith(b"{")]


def _time_us(line: str) -> int:
    return parse_time_us(json.loads(line)["time"]) or 0
