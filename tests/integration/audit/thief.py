"""Somebody who holds the root token and the services' credentials."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import hvac

from keyturn_cli.local.layout import DEMO_APP
from keyvault_svc.domain.lease_id import new_lease_id
from tests.e2e.clients import Clients, new_request_id

_DECRYPT: Final = "keyturn-transit/decrypt/openai"
_CONTROLS: Final = "keyturn-kv/data/operator/controls"
_GATEWAY_POLICY: Final = "sys/policies/acl/gateway-svc"


class Thief:
    """Has the root token and the services' credentials.

    Attributes:
        key: Name of a key with a record.
    """

    def __init__(self, clients: Clients) -> None:
        self._stack = clients.stack
        self.root = clients.stack.openbao.client()
        names = self.root.list("keyturn-kv/metadata/users/alice/keys")["data"]["keys"]
        self.key = f"users/alice/keys/{next(n for n in names if n.startswith('day'))}"

    @property
    def home(self) -> Path:
        """Where the credentials lie."""
        return self._stack.layout.home

    @property
    def record_path(self) -> str:
        """Where the key's record lies."""
        return f"keyturn-kv/data/{self.key}"

    def log_in(self, service: str) -> hvac.Client:
        """Return a client with a fresh login of *service*, by its files."""
        client = self.with_token("")
        home = self.home
        client.auth.approle.login(
            (home / f"{service}.role-id").read_text(),
            (home / f"{service}.secret-id").read_text(),
            mount_point="keyturn-approle",
        )
        return client

    def with_token(self, token: str) -> hvac.Client:
        """Return a client that bears *token*."""
        client = self._stack.openbao.client()
        client.token = token
        return client

    def token_of(self, *policies: str) -> hvac.Client:
        """Return a client with a token of *policies* that root makes."""
        is_bare = "default" not in policies
        made = self.root.write_data(
            "auth/token/create", data={"policies": policies, "no_default_policy": is_bare}
        )
        return self.with_token(made["auth"]["client_token"])

    def record(self, client: hvac.Client) -> dict[str, Any]:
        """Read the key's record as *client*."""
        return dict(json.loads(client.read(self.record_path)["data"]["data"]["record"]))

    def decrypt(self, client: hvac.Client, ciphertext: str, *, batch: bool = False) -> None:
        """Open the key as *client*, which may be refused."""
        item = {
            "ciphertext": ciphertext,
            "context": base64.b64encode(self.key.encode()).decode(),
        }
        body: dict[str, Any] = {"batch_input": [item]} if batch else item
        with contextlib.suppress(hvac.exceptions.Forbidden):
            client.write_data(_DECRYPT, data=body)

    def stolen(self) -> str:
        """Return the sealed key, as read by a client of the key service under no lease."""
        sealed = self.record(self.log_in("keyvault-svc"))["current"]["sealed_key"]
        return str(sealed)

    def labelled(self, client: hvac.Client, lease: str) -> hvac.Client:
        """Have *client* say that it works for the demo app under *lease*."""
        labels = {
            "X-Keyturn-Request-Id": new_request_id(),
            "X-Keyturn-Lease": lease,
            "X-Keyturn-App": DEMO_APP,
            "X-Keyturn-Key": self.key,
        }
        client.session.headers.update(labels)
        return client

    @contextlib.contextmanager
    def wide_gateway(self, path: str, *capabilities: str) -> Any:  # noqa: ANN401 - a context
        """Give the gateway's policy more meanwhile."""
        policy = self.root.read(_GATEWAY_POLICY)["data"]["policy"]
        rule = f'path "{path}" {{ capabilities = {json.dumps(capabilities)} }}'
        self.root.write_data(_GATEWAY_POLICY, data={"policy": f"{policy}\n{rule}\n"})
        try:
            yield self.log_in("gateway-svc")
        finally:
            self.root.write_data(_GATEWAY_POLICY, data={"policy": policy})


def new_lease() -> str:
    """Return the id of a lease of now."""
    return new_lease_id(datetime.now(UTC))
