"""The set-up as a shell script of plain `bao` or `vault` commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from keyvault_svc.vault.bootstrap.recording import RecordedWrite
from keyvault_svc.vault.bootstrap.second_factor_steps import (
    ENFORCEMENT,
    SECOND_FACTOR_MOUNT,
    TOTP_METHODS,
    UNKNOWN_METHOD,
    UNKNOWN_MOUNT,
)
from keyvault_svc.vault.paths import KV_MOUNT

_HEAD: Final = """\
#!/bin/sh
# Sets Vault or OpenBao up for Keyturn: what `keyvault-svc bootstrap` writes to an empty server.
# It may be run again: what is there stays, and fields that differ are written anew, except those of
# mounts, transit keys and the certificate authority. `keyvault-svc bootstrap --dry-run` tells what
# differs then. The command takes address, CA and token from its own environment variables.
set -eu

cli=${VAULT_CLI:-bao}

# Writes JSON from standard input to a path.
put() {
  "$cli" write "$1" - >/dev/null
}

# Writes JSON from standard input to a path, and tells the id that the server gave to what it made.
method_id() {
  "$cli" write -field=method_id "$1" -
}

# Tells whether a list (audit, auth, secrets) names something.
has() {
  "$cli" "$1" list -format=json | grep -q "^ *\\"$2/\\":"
}
"""
_NO_AUDIT_DEVICE: Final = " || echo 'no audit device: OpenBao declares it in its configuration' >&2"
_UPGRADING: Final = """\
# A new KV mount takes a moment to become version 2.
tries=0
until {put}
do
  tries=$((tries + 1))
  [ "$tries" -lt 10 ] || exit 1
  sleep 1
done"""


def emit_cli(writes: Sequence[RecordedWrite]) -> str:
    """Return a script that makes *writes*. It holds no secret, since they hold none."""
    parts = [_HEAD]
    step = None
    for write in writes:
        title = [f"# {write.step}"] * (write.step != step)
        parts.append("\n".join([*title, _command(write)]) + "\n")
        step = write.step
    return "\n".join(parts)


def _command(write: RecordedWrite) -> str:
    for prefix, command in _SPECIAL.items():
        if write.path.startswith(prefix):
            return command(write)
    if write.path == f"{KV_MOUNT}/config":
        return _UPGRADING.format(put=_put(write))
    if write.path.endswith("/root/generate/internal"):
        issuers = write.path.replace("/root/generate/internal", "/issuers")
        return f'"$cli" list {issuers} >/dev/null 2>&1 || {_put(write)}'
    return _put(write)


def _put(write: RecordedWrite, otherwise: str = "") -> str:
    return f"put {write.path} <<'JSON'{otherwise}\n{json.dumps(write.data, indent=2)}\nJSON"


def _policy(write: RecordedWrite) -> str:
    name, text = write.path.rpartition("/")[2], str(write.data["policy"]).rstrip("\n")
    return f"\"$cli\" policy write {name} - >/dev/null <<'HCL'\n{text}\nHCL"


def _totp_method(write: RecordedWrite) -> str:
    """Return the command that makes the method, or changes the one it has, and keeps the id."""
    return f"totp_id=$({_put(write).replace('put', 'method_id', 1)}\n)"


def _enforcement(write: RecordedWrite) -> str:
    # Not quoted: the shell puts in what Vault made up.
    document = _put(write).replace("<<'JSON'", "<<JSON")
    document = document.replace(UNKNOWN_METHOD, "$totp_id").replace(UNKNOWN_MOUNT, "$accessor")
    return f'accessor=$("$cli" read -field=accessor sys/auth/{SECOND_FACTOR_MOUNT})\n{document}'


def _unless_listed(table: str, otherwise: str = "") -> Callable[[RecordedWrite], str]:
    def command(write: RecordedWrite) -> str:
        name = write.path.split("/", 2)[2]
        return f"has {table} {name} || {_put(write, otherwise)}"

    return command


_SPECIAL: Final[dict[str, Callable[[RecordedWrite], str]]] = {
    "sys/audit/": _unless_listed("audit", _NO_AUDIT_DEVICE),
    "sys/mounts/": _unless_listed("secrets"),
    "sys/auth/": _unless_listed("auth"),
    "sys/policies/acl/": _policy,
    TOTP_METHODS: _totp_method,
    ENFORCEMENT: _enforcement,
}
