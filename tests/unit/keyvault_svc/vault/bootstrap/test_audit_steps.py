from __future__ import annotations

from typing import Any

import pytest

from keyvault_svc.vault.bootstrap.audit_steps import ServerKind, judge_devices, server_kind
from keyvault_svc.vault.bootstrap.errors import SetupConflictError
from keyvault_svc.vault.bootstrap.step import StepOutcome

FILE = "/var/log/vault/audit.log"
DEVICE = {"type": "file", "options": {"file_path": FILE}}
OTHER = {"type": "syslog", "options": None}


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v2.7.2+builtin.bao", ServerKind.OPENBAO),
        ("v2.0.3+builtin.vault", ServerKind.HASHICORP_VAULT),
        ("v1.15.6+builtin.vault", ServerKind.HASHICORP_VAULT),
    ],
)
def test_the_server_is_known_by_its_built_in_engines(version: str, kind: ServerKind) -> None:
    mounts = {
        "plugin/": {"running_plugin_version": "v1.0.0"},
        "cubbyhole/": {"running_plugin_version": version},
    }

    assert kind == server_kind(mounts)


@pytest.mark.parametrize(
    "mounts", [{}, {"sys/": {}}, {"sys/": {"running_plugin_version": "v3.0.0+builtin.other"}}]
)
def test_a_server_that_says_neither_is_refused(mounts: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(SetupConflictError):
        server_kind(mounts)


@pytest.mark.parametrize(
    ("kind", "devices", "audit_file", "outcome"),
    [
        (ServerKind.OPENBAO, {}, None, StepOutcome.MANUAL),
        (ServerKind.OPENBAO, {}, FILE, StepOutcome.MANUAL),
        (ServerKind.OPENBAO, {"a/": DEVICE}, None, StepOutcome.OK),
        (ServerKind.OPENBAO, {"a/": OTHER}, FILE, StepOutcome.OK),
        (ServerKind.HASHICORP_VAULT, {}, None, StepOutcome.MANUAL),
        (ServerKind.HASHICORP_VAULT, {}, FILE, StepOutcome.CREATED),
        (ServerKind.HASHICORP_VAULT, {"a/": OTHER}, FILE, StepOutcome.CREATED),
        (ServerKind.HASHICORP_VAULT, {"a/": OTHER}, None, StepOutcome.OK),
        (ServerKind.HASHICORP_VAULT, {"a/": DEVICE}, FILE, StepOutcome.OK),
        (ServerKind.HASHICORP_VAULT, {"keyturn/": DEVICE}, "/other", StepOutcome.MANUAL),
    ],
)
def test_a_device_is_enabled_only_where_the_product_lets_it_and_none_writes_the_file(
    kind: ServerKind,
    devices: dict[str, dict[str, Any]],
    audit_file: str | None,
    outcome: StepOutcome,
) -> None:
    assert outcome is judge_devices(kind, devices, audit_file).outcome


def test_openbao_without_a_device_is_told_the_stanza_to_add() -> None:
    detail = judge_devices(ServerKind.OPENBAO, {}, FILE).detail

    assert f'file_path = "{FILE}"' in detail


@pytest.mark.parametrize(
    ("kind", "devices"),
    [
        (ServerKind.OPENBAO, {"a/": DEVICE}),
        (ServerKind.HASHICORP_VAULT, {"a/": DEVICE}),
        (ServerKind.HASHICORP_VAULT, {}),
    ],
)
def test_a_single_device_is_warned_about(
    kind: ServerKind, devices: dict[str, dict[str, Any]]
) -> None:
    assert "production needs two" in judge_devices(kind, devices, FILE).detail


def test_two_devices_need_no_warning() -> None:
    assert not judge_devices(ServerKind.OPENBAO, {"a/": DEVICE, "b/": OTHER}, None).detail
