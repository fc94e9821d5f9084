"""The audit log: that there is one, and that it names request, lease, app and key."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from keyvault_svc.vault.audit_headers import APP, KEY, LEASE, REQUEST_ID
from keyvault_svc.vault.bootstrap.convergence import RIGHT
from keyvault_svc.vault.bootstrap.errors import SetupConflictError
from keyvault_svc.vault.bootstrap.options import BootstrapOptions
from keyvault_svc.vault.bootstrap.step import Finding, Step, StepOutcome
from keyvault_svc.vault.bootstrap.vault_admin import VaultAdmin

_HEADERS_PATH: Final = "sys/config/auditing/request-headers"
_DEVICES_PATH: Final = "sys/audit"
_DEVICE: Final = "keyturn"
_ONLY_ONE: Final = "only one audit device: when it blocks, Vault stops; production needs two"


class ServerKind(Enum):
    """Which product answers."""

    OPENBAO = "bao"
    HASHICORP_VAULT = "vault"


def audit_steps(options: BootstrapOptions) -> list[Step]:
    """Return the steps that keep the audit log, which come first so that it records the rest."""
    return [
        Step("audit device", lambda vault: _converge_device(vault, options.audit_file)),
        Step("audited request headers", _converge_headers),
    ]


def server_kind(mounts: Mapping[str, Mapping[str, Any]]) -> ServerKind:
    """Tell the products apart by the version of a built-in engine in *mounts*.

    Versions read `v2.7.2+builtin.bao` or `v2.0.3+builtin.vault`. Version numbers alone no longer
    tell: both products have a 2.x.

    Args:
        mounts: What `sys/mounts` answers; `cubbyhole/`, `identity/` and `sys/` are always there.

    Raises:
        SetupConflictError: The server says neither.
    """
    versions = [str(mount.get("running_plugin_version", "")) for mount in mounts.values()]
    for kind in ServerKind:
        if any(version.endswith(f"+builtin.{kind.value}") for version in versions):
            return kind
    raise SetupConflictError(
        "The server is neither OpenBao nor HashiCorp Vault 1.12 or later.",
        "Check its address and version.",
    )


def _converge_device(vault: VaultAdmin, audit_file: str | None) -> Finding:
    devices = vault.read(_DEVICES_PATH) or {}
    kind = server_kind(vault.read("sys/mounts") or {})
    finding = judge_devices(kind, devices, audit_file)
    if finding.outcome is StepOutcome.CREATED:
        vault.write(
            f"{_DEVICES_PATH}/{_DEVICE}", {"type": "file", "options": {"file_path": audit_file}}
        )
    return finding


def judge_devices(
    kind: ServerKind, devices: Mapping[str, Mapping[str, Any]], audit_file: str | None
) -> Finding:
    """Decide what is to be done about the audit *devices*; `CREATED` asks for a file device.

    Args:
        kind: OpenBao refuses to enable devices by request, so there it can only be advised.
        devices: What `sys/audit` answers.
        audit_file: As in `BootstrapOptions`.
    """
    files = {(device.get("options") or {}).get("file_path") for device in devices.values()}
    if kind is ServerKind.HASHICORP_VAULT and audit_file is not None and audit_file not in files:
        if f"{_DEVICE}/" in devices:  # a device cannot be changed; a new one hashes with a new salt
            return Finding(
                StepOutcome.MANUAL,
                f"the audit device {_DEVICE}/ writes another file: name that one, "
                f"or run `vault audit disable {_DEVICE}` first",
            )
        return Finding(StepOutcome.CREATED, _ONLY_ONE if not devices else "")
    if devices:
        return Finding(StepOutcome.OK, _ONLY_ONE) if len(devices) == 1 else RIGHT
    if kind is ServerKind.HASHICORP_VAULT:
        return Finding(
            StepOutcome.MANUAL, "no audit device: name an audit file, or run `vault audit enable`"
        )
    path = audit_file or "/var/log/openbao/audit.log"
    return Finding(
        StepOutcome.MANUAL,
        "no audit device: add to the server's configuration file and send it SIGHUP:\n"
        f'audit "file" "{_DEVICE}" {{\n  options {{\n    file_path = "{path}"\n  }}\n}}',
    )


def _converge_headers(vault: VaultAdmin) -> Finding:
    current = (vault.read(_HEADERS_PATH) or {}).get("headers") or {}
    # Vault stores header names in lower case.
    wrong = [
        name
        for name in (REQUEST_ID, LEASE, APP, KEY)
        if current.get(name.lower(), {}).get("hmac") is not False
    ]
    if not wrong:
        return RIGHT
    for name in wrong:
        vault.write(f"{_HEADERS_PATH}/{name}", {"hmac": False})
    return Finding(StepOutcome.CHANGED, "missing or hashed: " + ", ".join(wrong))
