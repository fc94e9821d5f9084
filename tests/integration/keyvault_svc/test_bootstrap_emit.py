"""The set-up as a script does what the bootstrap does; as Terraform it says the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn_cli.local.openbao_server import OpenBaoServer
from keyvault_svc.vault.bootstrap import BootstrapOptions
from keyvault_svc.vault.bootstrap.emit_cli import emit_cli
from keyvault_svc.vault.bootstrap.emit_terraform import emit_terraform
from keyvault_svc.vault.bootstrap.login_options import LoginOptions
from keyvault_svc.vault.bootstrap.recording import RecordedWrite, recorded_writes
from keyvault_svc.vault.bootstrap.second_factor_steps import UNKNOWN_METHOD, UNKNOWN_MOUNT
from tests.integration.keyvault_svc.login_choices import wrong

TOOLS = Path(sys.executable).parent
KINDS = ["approle", "kubernetes", "certificate", "jwt"]
PUT = re.compile(r"(?:put|method_id) (\S+) <<'?JSON'?.*\n((?:.*\n)*?)JSON\n")
POLICY = re.compile(r"policy write (\S+) - >/dev/null <<'HCL'\n((?:.*\n)*?)HCL\n")
RESOURCE = re.compile(r'resource "(\w+)" "(\w+)" \{\n')
TUNE = re.compile(r'  tune \{\n    max_lease_ttl = "(\d+)s"\n  \}\n')
# How the script and Terraform write what Vault makes up.
MADE_UP = {
    "$totp_id": UNKNOWN_METHOD,
    "$accessor": UNKNOWN_MOUNT,
    '${vault_generic_endpoint.identity_mfa_method_totp.write_data["method_id"]}': UNKNOWN_METHOD,
    "${vault_auth_backend.sys_auth_keyturn_people_mfa.accessor}": UNKNOWN_MOUNT,
}
ARGUMENT = re.compile(r"^  (\w+) += (?:<<(\w+)\n((?:.*\n)*?)\2\n|(.+)\n)", re.MULTILINE)


@pytest.fixture
def all_by_approle(base: BootstrapOptions) -> BootstrapOptions:
    return replace(
        base,
        issuer="https://vault.keyturn.test:8200",
        audit_file="/var/log/vault/audit.log",
    )


@pytest.fixture(params=KINDS)
def options(
    request: pytest.FixtureRequest,
    all_by_approle: BootstrapOptions,
    logins: Mapping[str, LoginOptions],
) -> BootstrapOptions:
    return replace(all_by_approle, login=logins[request.param])


def _run_script(server: OpenBaoServer, folder: Path, script: str) -> str:
    file = folder / "setup.sh"
    file.write_text(script)
    process = subprocess.run(
        ["/bin/sh", str(file)],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "VAULT_CLI": str(TOOLS / "bao"),
            "BAO_ADDR": server.address,
            "BAO_CACERT": str(server.ca_file),
            "BAO_TOKEN": server.root_token_file.read_text(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stderr


def test_after_the_script_nothing_differs_and_it_mends_what_differs_later(
    empty_openbao: OpenBaoServer, all_by_approle: BootstrapOptions, tmp_path: Path
) -> None:
    script, admin = emit_cli(recorded_writes(all_by_approle)), empty_openbao.client()

    told = _run_script(empty_openbao, tmp_path, script)

    assert wrong(empty_openbao, all_by_approle, dry_run=True) == {}
    # The server has a device by its configuration, under another name.
    assert "no audit device" in told
    admin.write_data("keyturn-kv/config", data={"cas_required": False})
    admin.write_data("sys/policies/acl/gateway-svc", data={"policy": 'path "*" {}'})
    admin.write_data("keyturn-pki/roles/app", data={"allow_any_name": True})
    [method_id] = admin.list("identity/mfa/method/totp")["data"]["keys"]
    admin.write_data(f"identity/mfa/method/totp/{method_id}", data={"issuer": "Other"})
    admin.delete("identity/mfa/login-enforcement/keyturn-people-mfa")
    assert len(wrong(empty_openbao, all_by_approle, dry_run=True)) == 5

    _run_script(empty_openbao, tmp_path, script)

    assert wrong(empty_openbao, all_by_approle, dry_run=True) == {}
    assert len(admin.list("keyturn-pki/issuers")["data"]["keys"]) == 1


def test_the_logins_of_the_script_are_those_of_the_bootstrap(
    empty_openbao: OpenBaoServer, options: BootstrapOptions, tmp_path: Path
) -> None:
    writes = recorded_writes(options)
    script = emit_cli([write for write in writes if "auth/" in write.path])
    others = {write.step for write in writes if "auth/" not in write.path}

    _run_script(empty_openbao, tmp_path, script)

    assert set(wrong(empty_openbao, options, dry_run=True)) <= others


def _recorded(text: str) -> str:
    """Return *text* with what Vault makes up as a recording has it."""
    for word, placeholder in MADE_UP.items():
        text = text.replace(word, placeholder)
    return text


def test_the_script_makes_exactly_the_writes_of_the_bootstrap(options: BootstrapOptions) -> None:
    writes = recorded_writes(options)
    script = emit_cli(writes)

    found = {path: json.loads(text) for path, text in PUT.findall(_recorded(script))}
    policies = {
        f"sys/policies/acl/{name}": {"policy": text} for name, text in POLICY.findall(script)
    }

    assert found | policies == {write.path: write.data for write in writes}


def test_the_script_is_clean_shell(options: BootstrapOptions, tmp_path: Path) -> None:
    file = tmp_path / "setup.sh"
    file.write_text(emit_cli(recorded_writes(options)))

    checked = subprocess.run(
        [TOOLS / "shellcheck", "--shell=sh", file], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def _resources(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return type, name and arguments of each resource."""
    found = []
    for block in re.split(r"(?m)^(?=resource )", text)[1:]:
        head = RESOURCE.match(block)
        assert head is not None
        found.append((head[1], head[2], _arguments(block[head.end() : block.rindex("\n}\n") + 1])))
    return found


def _arguments(body: str) -> dict[str, str]:
    arguments = {
        name: document if word else value for name, word, document, value in ARGUMENT.findall(body)
    }
    if tune := TUNE.search(body):
        arguments["tune"] = tune[1]
    return arguments


def _value(literal: str) -> object:
    """Return what a literal of Terraform stands for: JSON, perhaps as a text to be decoded."""
    inner = re.fullmatch(r"jsondecode\((.*)\)", literal)
    return json.loads(json.loads(inner[1])) if inner else json.loads(literal)


def _write_of(kind: str, arguments: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    given = {
        name: _value(value)
        for name, value in arguments.items()
        if name not in {"data_json", "policy", "depends_on", "write_fields"}
    }
    where = given.get("path") or given.get("name")
    match kind:
        case "vault_mount":
            limits = {"max_lease_ttl": given.get("max_lease_ttl_seconds")}
            config = {name: limit for name, limit in limits.items() if limit is not None}
            rest = {"options": given.get("options", {}), "config": config}
            return f"sys/mounts/{where}", {"type": given["type"], **rest}
        case "vault_auth_backend":
            limits = {"max_lease_ttl": given["tune"]} if "tune" in given else {}
            return f"sys/auth/{where}", {"type": given["type"], "options": {}, "config": limits}
        case "vault_policy":
            return f"sys/policies/acl/{where}", {"policy": arguments["policy"]}
        case "vault_audit":
            device = {"type": given["type"], "options": given["options"]}
            return f"sys/audit/{where}", device
        case "vault_audit_request_header":
            path = f"sys/config/auditing/request-headers/{where}"
            return path, {"hmac": given["hmac"]}
        case "vault_generic_endpoint":
            return str(where), json.loads(arguments["data_json"])
        case _:
            raise AssertionError(kind)


def test_terraform_makes_exactly_the_writes_of_the_bootstrap_in_order(
    options: BootstrapOptions,
) -> None:
    writes = recorded_writes(options)

    found = [
        _write_of(kind, arguments)
        for kind, _, arguments in _resources(_recorded(emit_terraform(writes)))
    ]

    assert found == [(write.path, write.data) for write in writes]


def test_each_resource_comes_after_the_one_before_and_none_needs_the_audit_device(
    options: BootstrapOptions,
) -> None:
    resources = _resources(emit_terraform(recorded_writes(options)))
    names = [f"{kind}.{name}" for kind, name, _ in resources]
    needed = [arguments.get("depends_on") for *_, arguments in resources]

    assert needed == [None, None, *(f"[{name}]" for name in names[1:-1])]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform here")
def test_terraform_reads_it_and_would_format_nothing(options: BootstrapOptions) -> None:
    text = emit_terraform(recorded_writes(options))

    read = subprocess.run(
        ["terraform", "fmt", "-"], input=text, capture_output=True, text=True, check=False
    )

    assert (read.returncode, read.stdout) == (0, text)


def test_what_terraform_would_take_for_a_template_is_escaped() -> None:
    write = RecordedWrite("role", "auth/x/role/y", {"template": "${name} %{if}"})

    assert "$${name} %%{if}" in emit_terraform([write])
