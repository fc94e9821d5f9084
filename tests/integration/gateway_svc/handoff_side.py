"""What the tests of the hand-off share: a Vault as bootstrap leaves it, and both services at it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import hvac

from gateway_svc.domain.key_name import KeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.verifier import Verification
from gateway_svc.vault.transit_opener import TransitOpener
from gateway_svc.vault.unwrapper import Unwrapper
from keyturn_cli.local.openbao_server import OpenBaoServer
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.login import AppRoleLogin
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.fakes.fake_clock import START, FakeClock
from tests.live_files import whole_lines

MOUNT: Final = "keyturn-approle"
KEY: Final = "users/alice/keys/openai"
PLAINTEXT: Final = b"sk-canary-of-the-handoff-test"  # pragma: allowlist secret
CONTEXT: Final = base64.b64encode(KEY.encode()).decode()
APP: Final = "spiffe://keyturn.test/app/billing"


@dataclass
class HandoffSide:
    """The deployed policies at a real server, one sealed key, and a clock that a test turns."""

    server: OpenBaoServer
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def root(self) -> hvac.Client:
        return self.server.client()

    def log_in(self, service: str) -> hvac.Client:
        """Return a client with a fresh token of *service*'s AppRole."""
        client = self.server.client()
        client.token = None
        client.auth.approle.login(*self._credential(service), mount_point=MOUNT)
        return client

    def sealed(self, plaintext: bytes = PLAINTEXT) -> str:
        """Return *plaintext* as the key service has Vault seal it."""
        body = {"plaintext": base64.b64encode(plaintext).decode(), "context": CONTEXT}
        answer = self.log_in("keyvault-svc").write_data("keyturn-transit/encrypt/openai", data=body)
        return str(answer["data"]["ciphertext"])

    def wrap(
        self, body: Mapping[str, Any], ttl: str = "30s", client: hvac.Client | None = None
    ) -> SecretBytes:
        """Return a wrapping token for *body*, by the key service's own token."""
        return self.wrapped("POST", "sys/wrapping/wrap", body, ttl, client)

    def wrapped(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        ttl: str = "30s",
        client: hvac.Client | None = None,
    ) -> SecretBytes:
        """Return a wrapping token for what *path* answers."""
        answer = (client or self.log_in("keyvault-svc")).adapter.request(
            method.lower(), f"/v1/{path}", json=body, wrap_ttl=ttl
        )
        return SecretBytes(answer["wrap_info"]["token"].encode())

    def is_unspent(self, token: SecretBytes) -> bool:
        """Tell whether *token* can still be unwrapped."""
        try:
            self.root.adapter.post(
                "/v1/sys/wrapping/lookup", json={"token": token.expose().decode()}
            )
        except hvac.exceptions.InvalidRequest:
            return False
        return True

    @asynccontextmanager
    async def opener(self, login: AppRoleLogin | None = None) -> AsyncIterator[TransitOpener]:
        """Enter with the gateway's opener, logged in as it is deployed."""
        connection = VaultConnection(self.server.address, self.server.ca_file)
        session = VaultSession(connection, login or self.login_of("gateway-svc"), SystemClock())
        async with session:
            yield TransitOpener(session, Unwrapper(session, self.clock))

    def login_of(self, role: str) -> AppRoleLogin:
        """Return the login of *role*, its credential in two files."""
        login = AppRoleLogin(MOUNT, self.folder / f"{role}-id", self.folder / f"{role}-secret")
        role_id, secret_id = self._credential(role)
        login.role_id_file.write_text(role_id)
        login.secret_id_file.write_text(secret_id)
        return login

    def login_without(self, path: str) -> AppRoleLogin:
        """Return the login of a role with the gateway's policy, but for *path*."""
        policy = self.root.sys.read_policy("gateway-svc")["data"]["rules"]
        assert f'path "{path}"' in policy
        self.root.sys.create_or_update_policy(
            "handoff-test", policy.replace(f'path "{path}"', 'path "handoff-nowhere"')
        )
        self.root.auth.approle.create_or_update_approle(
            "handoff-test",
            mount_point=MOUNT,
            token_policies=["handoff-test"],
            token_no_default_policy=True,
            token_ttl="60s",
        )
        return self.login_of("handoff-test")

    def audited(self, request_id: str) -> list[tuple[str, Mapping[str, list[str]]]]:
        """Return path and headers of the requests that Vault took under *request_id*."""
        lines = [json.loads(line) for line in whole_lines(self.server.audit_log)]
        return [
            (line["request"]["path"], line["request"]["headers"])
            for line in lines
            if line["type"] == "request"
            and (line["request"].get("headers") or {}).get("x-keyturn-request-id") == [request_id]
        ]

    def _credential(self, role: str) -> tuple[str, str]:
        at = f"auth/{MOUNT}/role/{role}"
        return (
            str(self.root.read(f"{at}/role-id")["data"]["role_id"]),
            str(self.root.write_data(f"{at}/secret-id")["data"]["secret_id"]),
        )


def lease_with(token: SecretBytes | None, ciphertext: str = "") -> Lease:
    """Return a lease of ten seconds that hands *token* or *ciphertext* over."""
    expire_time = START + timedelta(seconds=10)
    return Lease(secrets.token_hex(16), 1, "", expire_time, ciphertext, token)


def purpose_of(lease: Lease, key: str = KEY) -> Verification:
    """Return for what the key of *lease* is opened, under a request id of its own."""
    request_id = f"request-{secrets.token_hex(8)}"
    return Verification(request_id, KeyName.parse(key), SpiffeId.parse(APP), lease)
