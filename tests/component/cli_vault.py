"""What the command needs of Vault, on a server that others use too."""

from __future__ import annotations

from typing import Any

import hvac

from keyturn_cli.local.openbao_server import OpenBaoServer

PASSWORD = "correct horse battery staple"
_PEOPLE = "keyturn-people"
_POLICY = """
path "identity/oidc/token/keyturn-owner" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
_TEMPLATE = '{"preferred_username": {{identity.entity.name}}}'


def add_person(server: OpenBaoServer, name: str) -> None:
    """Add a person who can log in with `PASSWORD` and gets an ID token for an hour."""
    root = server.client()
    if f"{_PEOPLE}/" not in root.sys.list_auth_methods()["data"]:
        root.sys.enable_auth_method("userpass", path=_PEOPLE)
    root.sys.create_or_update_policy("cli-person", _POLICY)
    _write(root, "identity/oidc/key/cli", {"allowed_client_ids": "*"})
    role = {"key": "cli", "ttl": "1h", "template": _TEMPLATE}
    _write(root, "identity/oidc/role/keyturn-owner", role)
    user = {
        "password": PASSWORD,
        "token_policies": ["cli-person"],
        "token_no_default_policy": True,
    }
    _write(root, f"auth/{_PEOPLE}/users/{name}", user)
    _write(root, f"identity/entity/name/{name}", {})
    entity_id = root.read(f"identity/entity/name/{name}")["data"]["id"]
    accessor = root.sys.list_auth_methods()["data"][f"{_PEOPLE}/"]["accessor"]
    alias = {"name": name, "canonical_id": entity_id, "mount_accessor": accessor}
    _write(root, "identity/entity-alias", alias)


class TwoHalves:
    """A KV store and a transit key of one test, and the logins of both services for them."""

    def __init__(self, server: OpenBaoServer) -> None:
        """Set both up under paths of their own, and have Keyturn's headers audited."""
        root = server.client()
        self._root = root
        root.sys.enable_secrets_engine("kv", path="cli-kv", options={"version": "2"})
        root.sys.enable_secrets_engine("transit", path="cli-transit")
        root.sys.enable_auth_method("approle", path="cli-approle")
        for header in ("Request-Id", "Lease", "App", "Key"):
            _write(root, f"sys/config/auditing/request-headers/X-Keyturn-{header}", {"hmac": False})
        policy = 'path "cli-*" { capabilities = ["create", "read", "update"] }'
        root.sys.create_or_update_policy("cli-half", policy)
        _write(root, "cli-transit/keys/openai", {})
        plaintext = {"plaintext": "c2sta2V5"}
        sealed = root.write_data("cli-transit/encrypt/openai", data=plaintext)["data"]["ciphertext"]
        _write(root, "cli-kv/data/users/alice/keys/openai", {"data": {"sealed": sealed}})
        self.key_service = self._log_in(server, "keyvault-svc")
        self.gateway = self._log_in(server, "gateway-svc")

    def serve(self, headers: dict[str, str]) -> None:
        """Do for one request what the two services do at Vault, with *headers* audited."""
        self.key_service.adapter.session.headers.update(headers)
        self.gateway.adapter.session.headers.update(headers)
        record = self.key_service.read("cli-kv/data/users/alice/keys/openai")
        sealed = record["data"]["data"]["sealed"]
        _write(self.gateway, "cli-transit/decrypt/openai", {"ciphertext": sealed})

    def _log_in(self, server: OpenBaoServer, role: str) -> hvac.Client:
        path = f"auth/cli-approle/role/{role}"
        _write(self._root, path, {"token_policies": "cli-half"})
        role_id = self._root.read(f"{path}/role-id")["data"]["role_id"]
        secret_id = self._root.write_data(f"{path}/secret-id", data={})["data"]["secret_id"]
        client = server.client()
        client.auth.approle.login(role_id, secret_id, mount_point="cli-approle")
        return client


def _write(client: hvac.Client, path: str, data: dict[str, Any]) -> None:
    client.write_data(path, data=data)
