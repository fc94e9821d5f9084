"""A server as bootstrapped, and the logins that share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hvac

from keyturn_cli.local.openbao_server import OpenBaoServer
from tests.integration.dual_control_table import WRAP, Request, record_body

DOCUMENTS = [
    *("users/alice/keys/openai", "teams/alice/keys/openai", "maintenance/rewrap"),
    *("fingerprints/f", "verifications/v", "retirements/r", "reconciled/r", "operator/controls"),
    "grant-requests/g",
]


@dataclass(frozen=True)
class DualControl:
    """The server as bootstrapped, with one sealed key of alice."""

    server: OpenBaoServer
    ciphertext: str

    def log_in(self, service: str) -> hvac.Client:
        """Return a client with a fresh token of *service*'s AppRole."""
        admin, role = self.server.client(), f"auth/keyturn-approle/role/{service}"
        client = self.server.client()
        client.token = None
        client.auth.approle.login(
            admin.read(f"{role}/role-id")["data"]["role_id"],
            admin.write_data(f"{role}/secret-id")["data"]["secret_id"],
            mount_point="keyturn-approle",
        )
        return client

    def client_with_policy(self, text: str) -> hvac.Client:
        """Return a client with a fresh token of a policy that reads *text*."""
        admin = self.server.client()
        admin.write_data("sys/policies/acl/dual-control-test", data={"policy": text})
        token = {"policies": ["dual-control-test"], "no_default_policy": True, "ttl": "60s"}
        client = self.server.client()
        client.token = admin.write_data("auth/token/create", data=token)["auth"]["client_token"]
        return client

    def store_documents(self) -> None:
        """Store the first version of every document anew."""
        admin = self.server.client()
        for document in DOCUMENTS:
            admin.delete(f"keyturn-kv/metadata/{document}")
            admin.write_data(f"keyturn-kv/data/{document}", data=record_body(0))

    def send(self, client: hvac.Client, request: Request) -> Any:  # noqa: ANN401 - JSON
        """Send *request* with a real ciphertext and token in place."""
        if request.body == record_body(0):  # "create" is asked for only where nothing is
            self.server.client().delete(request.path.replace("/data/", "/metadata/"))
        merging = {"Content-Type": "application/merge-patch+json"}
        return client.adapter.request(
            request.method.lower(),
            f"/v1/{request.path}",
            headers=merging if request.method == "PATCH" else None,
            json=request.body and self._fill(request.body),
            wrap_ttl=request.wrap_ttl,
        )

    def wrapped(self, wrapping: hvac.Client) -> str:
        """Return a token that *wrapping* makes, which can be exchanged for something."""
        request = Request("POST", WRAP, {"sealed_key": "something"}, "30s")
        token: str = self.send(wrapping, request)["wrap_info"]["token"]
        return token

    def _fill(self, body: Mapping[str, Any]) -> dict[str, Any]:
        filled = dict(body)
        if "ciphertext" in body:
            filled["ciphertext"] = self.ciphertext
        if "token" in body:
            filled["token"] = self.wrapped(self.server.client())
        if "batch_input" in body:
            filled["batch_input"] = [self._fill(item) for item in body["batch_input"]]
        return filled
