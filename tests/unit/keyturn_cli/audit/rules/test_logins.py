"""Tokens of the services come from their logins alone."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from keyturn_cli.audit.options import SECOND_US, Window
from tests.unit.keyturn_cli.audit.vault_lines import (
    GATEWAY,
    KEY_SERVICE,
    OTHER,
    RECORD,
    ROOT,
    START,
    Caller,
    Log,
    codes,
    judge,
)

_ROLE = {"role_name": "gateway-svc"}
_SELF = "auth/token/lookup-self"


def _login(
    path: str, *policies: str, caller: Caller | None = None, metadata: dict[str, str] | None = None
) -> list[str]:
    log = Log()
    issued: dict[str, Any] = {"policies": list(policies), "metadata": metadata or {}}
    log.operation(caller or Caller(), "update", path, answer={"auth": issued})
    return codes(judge(log.lines))


@pytest.mark.parametrize(
    ("mount", "role_field"),
    [
        ("keyturn-approle", "role_name"),
        ("keyturn-kubernetes", "role"),
        ("keyturn-cert", "cert_name"),
        ("keyturn-jwt", "role"),
    ],
)
def test_a_services_own_login_is_no_finding(mount: str, role_field: str) -> None:
    metadata = {role_field: "gateway-svc"}

    assert _login(f"auth/{mount}/login", "gateway-svc", metadata=metadata) == []


@pytest.mark.parametrize(
    ("path", "metadata"),
    [
        ("auth/token/create", {}),
        ("auth/token/create-orphan", {"role_name": "gateway-svc"}),
        ("auth/other/login", {"role_name": "gateway-svc"}),
        ("auth/keyturn-approle/login", {"role_name": "payroll"}),
        ("auth/keyturn-approle/login", {}),
    ],
)
def test_a_services_token_by_another_way_is_found(path: str, metadata: dict[str, str]) -> None:
    assert _login(path, "gateway-svc", metadata=metadata) == ["SERVICE_TOKEN_MADE"]


def test_a_login_that_gives_more_than_the_services_policy_is_found() -> None:
    login = "auth/keyturn-approle/login"

    assert _login(login, "default", "gateway-svc", metadata=_ROLE) == ["SERVICE_HAS_MORE"]


def test_a_login_of_somebody_else_is_no_finding() -> None:
    assert _login("auth/payroll/login", "payroll", metadata={"role_name": "payroll"}) == []


def test_a_renewal_gives_nothing_new() -> None:
    renew = "auth/token/renew-self"

    assert _login(renew, "gateway-svc", caller=GATEWAY, metadata=_ROLE) == []


def test_a_root_token_that_is_made_is_found() -> None:
    assert _login("auth/token/create", "root") == ["ROOT_TOKEN_MADE"]


def test_a_root_token_is_told_once_in_an_hour() -> None:
    log = Log()
    for _ in range(4):
        log.operation(ROOT, "read", "sys/mounts")
        log.wait(1000)

    assert codes(judge(log.lines)) == ["ROOT_TOKEN_USED"]
    log.wait(1000)
    log.operation(ROOT, "read", "sys/mounts")
    assert codes(judge(log.lines)) == ["ROOT_TOKEN_USED"] * 2


def test_a_root_token_in_a_window_is_no_finding() -> None:
    start_us = int(START.timestamp()) * SECOND_US
    log = Log()
    log.operation(ROOT, "read", "sys/mounts")

    assert judge(log.lines, windows=(Window(start_us, start_us + SECOND_US),)) == []


def test_a_token_that_has_more_by_its_entity_is_found_once() -> None:
    log = Log()
    both = Caller("gateway-svc", ("gateway-svc", "keyvault-svc"))
    for _ in range(3):
        log.operation(both, "read", _SELF)

    assert codes(judge(log.lines)) == ["SERVICE_HAS_MORE"]


@pytest.mark.parametrize("address", ["192.168.0.1", "", "fe80::1%eth0", "no address"])
def test_a_service_from_nowhere_known_is_found(address: str) -> None:
    log = Log()
    log.operation(Caller("gateway-svc", ("gateway-svc",), address=address), "read", _SELF)
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    assert codes(judge(log.lines, service_networks=networks)) == ["SERVICE_FROM_ELSEWHERE"]
    assert judge(log.lines) == []


def test_a_service_from_a_known_network_is_no_finding() -> None:
    log = Log()
    log.operation(KEY_SERVICE, "read", _SELF)

    assert judge(log.lines, service_networks=(ip_network("10.0.0.0/8"),)) == []


def _wrapped(caller: Caller, operation: str, path: str) -> list[str]:
    log = Log()
    answer = {"wrap_info": {"token": "hmac-sha256:0", "creation_path": path}}
    log.operation(caller, operation, path, answer=answer)
    return codes(judge(log.lines))


@pytest.mark.parametrize(
    ("caller", "operation", "path"),
    [
        (KEY_SERVICE, "read", RECORD),
        (GATEWAY, "update", "auth/keyturn-approle/login"),
        (Caller(), "update", "auth/keyturn-approle/login"),
        (GATEWAY, "read", "auth/token/lookup-self"),
    ],
)
def test_an_answer_that_a_service_has_wrapped_is_found(
    caller: Caller, operation: str, path: str
) -> None:
    assert _wrapped(caller, operation, path) == ["ANSWER_WRAPPED"]


def test_others_may_wrap_what_is_theirs_and_the_key_service_hand_offs() -> None:
    assert _wrapped(OTHER, "update", "auth/payroll/login") == []
    assert _wrapped(OTHER, "read", "secret/data/x") == []
    assert _wrapped(KEY_SERVICE, "update", "sys/wrapping/wrap") == []


def test_a_wrapped_read_is_the_read_of_its_lease() -> None:
    log = Log()
    lease = log.lease()
    log.read(lease)
    answer = {"wrap_info": {"token": "hmac-sha256:0", "creation_path": RECORD}}
    log.operation(KEY_SERVICE, "read", RECORD, answer=answer, lease=lease)

    assert codes(judge(log.lines)) == ["LEASE_READ_TWICE", "ANSWER_WRAPPED"]
