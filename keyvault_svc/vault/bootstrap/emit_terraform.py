"""The set-up as Terraform, for HashiCorp's provider `vault`, which serves OpenBao too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from keyvault_svc.vault.bootstrap.recording import RecordedWrite
from keyvault_svc.vault.bootstrap.second_factor_steps import (
    SECOND_FACTOR_MOUNT,
    TOTP_METHODS,
    UNKNOWN_METHOD,
    UNKNOWN_MOUNT,
)

_HEAD: Final = """\
# Sets Vault or OpenBao up for Keyturn: what `keyvault-svc bootstrap` writes to an empty server.
# Address, CA and token come from the environment variables of the provider. `keyvault-svc bootstrap
# --dry-run` tells what differs afterwards.

terraform {
  required_providers {
    vault = {
      source = "hashicorp/vault"
    }
  }
}
"""
_AUDIT_DEVICE: Final = "vault_audit"
_TUNE: Final = "tune"  # a block, where all others are arguments
_AUDIT: Final = (
    "# HashiCorp Vault only: OpenBao declares audit devices in its configuration file.\n"
)


def emit_terraform(writes: Sequence[RecordedWrite]) -> str:
    """Return resources that make *writes*, each after the one before, as the bootstrap does."""
    blocks = [_HEAD]
    before: str | None = None
    for write in writes:
        kind, arguments = _resource(write)
        name = _name_of(write.path)
        if before is not None:
            arguments["depends_on"] = f"[{before}]"
        lead = _AUDIT if kind == _AUDIT_DEVICE else f"# {write.step}\n"
        blocks.append(f'{lead}resource "{kind}" "{name}" {{\n{_body(arguments)}\n}}\n')
        if kind != _AUDIT_DEVICE:  # whoever has OpenBao takes it out
            before = f"{kind}.{name}"
    return "\n".join(blocks)


def _name_of(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_")


# What Vault makes up, where the resource that has it made tells it.
_MADE_UP: Final = {
    UNKNOWN_METHOD: f'${{vault_generic_endpoint.{_name_of(TOTP_METHODS)}.write_data["method_id"]}}',
    UNKNOWN_MOUNT: (
        f"${{vault_auth_backend.{_name_of(f'sys/auth/{SECOND_FACTOR_MOUNT}')}.accessor}}"
    ),
}


def _resource(write: RecordedWrite) -> tuple[str, dict[str, str]]:
    """Return the type and the arguments of the resource that makes *write*."""
    table, _, name = write.path.rpartition("/")
    data = write.data
    match table:
        case "sys/mounts":
            return "vault_mount", _mount(name, data)
        case "sys/auth":
            return "vault_auth_backend", _auth_method(name, data)
        case "sys/policies/acl":
            policy = str(data["policy"])
            return "vault_policy", {"name": _text(name), "policy": _document("HCL", policy)}
        case "sys/audit":
            return _AUDIT_DEVICE, {
                "path": _text(name),
                "type": _text(data["type"]),
                "options": f"jsondecode({_text(json.dumps(data['options']))})",
            }
        case "sys/config/auditing/request-headers":
            hmac = json.dumps(data["hmac"])
            return "vault_audit_request_header", {"name": _text(name), "hmac": hmac}
        case _:
            return "vault_generic_endpoint", _endpoint(write)


def _endpoint(write: RecordedWrite) -> dict[str, str]:
    arguments = {
        "path": _text(write.path),
        "ignore_absent_fields": "true",
        # What cannot be deleted, or must not be by a plan.
        "disable_delete": "true",
        "data_json": _document("JSON", json.dumps(write.data, indent=2)),
    }
    if write.path.endswith("/root/generate/internal"):
        arguments["disable_read"] = "true"  # there is nothing to read; it is made once
    if write.path == TOTP_METHODS:
        arguments["disable_read"] = "true"  # it is filed under its id
        arguments["write_fields"] = '["method_id"]'
    for placeholder, reference in _MADE_UP.items():
        arguments["data_json"] = arguments["data_json"].replace(placeholder, reference)
    return arguments


def _mount(name: str, data: Mapping[str, object]) -> dict[str, str]:
    arguments = {"path": _text(name), "type": _text(data["type"])}
    options, config = data.get("options"), data.get("config")
    if isinstance(options, Mapping) and options:
        arguments["options"] = f"jsondecode({_text(json.dumps(options))})"
    if isinstance(config, Mapping) and "max_lease_ttl" in config:
        arguments["max_lease_ttl_seconds"] = str(config["max_lease_ttl"])
    return arguments


def _auth_method(name: str, data: Mapping[str, object]) -> dict[str, str]:
    arguments = {"path": _text(name), "type": _text(data["type"])}
    config = data.get("config")
    if isinstance(config, Mapping) and "max_lease_ttl" in config:
        arguments[_TUNE] = f'max_lease_ttl = "{config["max_lease_ttl"]}s"'
    return arguments


def _body(arguments: Mapping[str, str]) -> str:
    """Return the arguments as `terraform fmt` aligns them."""
    values = {name: value for name, value in arguments.items() if name != _TUNE}
    width = max(map(len, values))
    lines = [f"  {name:{width}} = {value}" for name, value in values.items()]
    if _TUNE in arguments:
        lines.append(f"  {_TUNE} {{\n    {arguments[_TUNE]}\n  }}")
    return "\n".join(lines)


def _text(value: object) -> str:
    return _escaped(json.dumps(value, ensure_ascii=False))


def _document(word: str, text: str) -> str:
    return f"<<{word}\n{_escaped(text.rstrip())}\n{word}"


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
