"""Writes `client.env`: what a client of the local stack needs, in shell syntax."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from keyturn_cli.local.layout import Layout
from keyturn_cli.local.private_file import write_private_file
from keyturn_cli.local.vault_server import VaultServer
from svc_runtime.secret_bytes import SecretBytes


def write_client_env(
    layout: Layout,
    *,
    ports: Mapping[str, int],
    key_name: str,
    openbao: VaultServer,
    owner_token: SecretBytes,
    app_token: SecretBytes,
) -> None:
    """Write the file anew, readable by its owner only: it holds tokens."""
    certificate, key = layout.certificate("app-demo")
    variables = {
        "KEYTURN_GRPC": f"127.0.0.1:{ports['gateway-grpc']}",
        "KEYTURN_HTTP": f"https://127.0.0.1:{ports['gateway-http']}",
        "KEYTURN_KEYS_GRPC": f"127.0.0.1:{ports['keyvault-owner']}",
        "KEYTURN_CA": str(layout.ca_file),
        "KEYTURN_CERT": str(certificate),
        "KEYTURN_CERT_KEY": str(key),
        "KEYTURN_APP_TOKEN": app_token.expose().decode("ascii"),
        "KEYTURN_OWNER_TOKEN": owner_token.expose().decode("ascii"),
        "KEYTURN_KEY": key_name,
        "VAULT_ADDR": openbao.address,
        "VAULT_CACERT": str(openbao.ca_file),
        "KEYTURN_VAULT_AUDIT_LOG": str(openbao.audit_log),
        "KEYTURN_SIGNING_KEYS": str(layout.signing_keys_file),
        "KEYTURN_AUDIT_WINDOWS": str(layout.windows_file),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    write_private_file(layout.client_env, ("\n".join(lines) + "\n").encode("ascii"))
