"""A server that bootstrap has set up, with what the contract's tests do to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from gateway_svc.domain.key_name import KeyName as GatewayKeyName
from gateway_svc.domain.lease_ports import Lease
from gateway_svc.domain.verifier import Verification
from gateway_svc.vault.transit_opener import TransitOpener
from gateway_svc.vault.unwrapper import Unwrapper
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.ports import AuditTags
from keyvault_svc.vault.bootstrap import BootstrapOptions, StepResult, run_bootstrap
from keyvault_svc.vault.kv_documents import KvDocuments
from keyvault_svc.vault.kv_key_store import KvKeyStore
from keyvault_svc.vault.transit_sealer import TransitSealer
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.spiffe_id import SpiffeId
from svc_runtime.vault.login import AppRoleLogin
from svc_runtime.vault.session import VaultConnection, VaultSession
from tests.contract.contract_server import ContractServer

APPROLE: Final = "keyturn-approle"
APP: Final = "spiffe://keyturn.test/app/billing"
POLICY_DIR: Final = Path(__file__).resolve().parents[2] / "deploy/vault/policies"
_OPEN_SECONDS: Final = 5.0


@dataclass(frozen=True)
class VaultUnderTest:
    """The server, and a folder for the credentials of those who log in."""

    server: ContractServer
    folder: Path

    def bootstrap(self) -> list[StepResult]:
        """Run the project's bootstrap, and return what it did."""
        options = BootstrapOptions(
            policy_dir=POLICY_DIR,
            trust_domain="keyturn.test",
            issuer="https://vault.keyturn.test:8200",
            audit_file=self.server.audit_file,
            owner_token_ttl_seconds=3600,
            app_token_ttl_seconds=600,
        )
        return run_bootstrap(self.server.client(), options, dry_run=False, report=lambda _: None)

    @asynccontextmanager
    async def session(self, role: str, address: str | None = None) -> AsyncIterator[VaultSession]:
        """Enter a session of *role*, logged in with a fresh secret id.

        Args:
            role: `keyvault-svc`, `gateway-svc` or `keyvault-maintenance`.
            address: Where to call instead of the server itself.
        """
        connection = VaultConnection(address or self.server.address, self.server.ca_file)
        async with VaultSession(connection, self._login_of(role), SystemClock()) as session:
            yield session

    @asynccontextmanager
    async def opener(self) -> AsyncIterator[TransitOpener]:
        """Enter with what opens keys at the gateway."""
        async with self.session("gateway-svc") as session:
            yield TransitOpener(session, Unwrapper(session, SystemClock()))

    async def opened(
        self, name: KeyName, ciphertext: str = "", token: SecretBytes | None = None
    ) -> bytes:
        """Return what the gateway opens under *name*."""
        async with self.opener() as opener:
            purpose = purpose_of(name, lease_of(ciphertext, token))
            return (await opener.open(purpose, purpose.lease, _OPEN_SECONDS)).expose()

    async def given(self, name: KeyName, plaintext: bytes) -> KeyRecord:
        """Store *plaintext* as the key service does, and return the record."""
        async with self.session("keyvault-svc") as session:
            tags = tags_of(name)
            sealed = await TransitSealer(session).seal(name, SecretBytes(plaintext), tags)
            record = KeyRecord.new(name, sealed, "alice", SystemClock().now())
            return await KvKeyStore(KvDocuments(session)).write(record, tags)

    def audited_requests(self) -> list[Mapping[str, Any]]:
        """Return all requests, as the audit log has them."""
        # Of a line that is being written, a reader may see the beginning only.
        finished, _, _ = self.server.audit_text().rpartition("\n")
        lines = [json.loads(line) for line in finished.splitlines()]
        return [line["request"] for line in lines if line["type"] == "request"]

    def audited(self, request_id: str) -> list[Mapping[str, Any]]:
        """Return the requests that bore *request_id*."""
        return [
            request
            for request in self.audited_requests()
            if (request.get("headers") or {}).get("x-keyturn-request-id") == [request_id]
        ]

    def _login_of(self, role: str) -> AppRoleLogin:
        root, at = self.server.client(), f"auth/{APPROLE}/role/{role}"
        login = AppRoleLogin(APPROLE, self.folder / f"{role}-id", self.folder / f"{role}-secret")
        login.role_id_file.write_text(root.read(f"{at}/role-id")["data"]["role_id"])
        secret_id = root.write_data(f"{at}/secret-id")["data"]["secret_id"]
        login.secret_id_file.write_text(secret_id)
        return login


def new_name(key_id: str = "openai") -> KeyName:
    """Return a name that no other test has."""
    return KeyName.parse(f"users/u-{secrets.token_hex(8)}/keys/{key_id}", "name")


def new_plaintext() -> bytes:
    """Return something that looks like a key, and is found nowhere else."""
    return f"sk-contract-{secrets.token_hex(24)}".encode()


def tags_of(name: KeyName) -> AuditTags:
    """Return tags with a request id of their own."""
    return AuditTags(f"request-{secrets.token_hex(8)}", str(name))


def lease_of(ciphertext: str = "", token: SecretBytes | None = None) -> Lease:
    """Return a lease of ten seconds."""
    expire_time = SystemClock().now() + timedelta(seconds=10)
    return Lease(secrets.token_hex(16), 1, "", expire_time, ciphertext, token)


def purpose_of(name: KeyName, lease: Lease) -> Verification:
    """Return for what the key of *lease* is opened."""
    request_id = f"request-{secrets.token_hex(8)}"
    return Verification(request_id, GatewayKeyName.parse(str(name)), SpiffeId.parse(APP), lease)
