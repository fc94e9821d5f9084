"""What the tests of the Vault session share: an operator's side of Vault, and operations."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import hvac
from hvac.api.secrets_engines import KvV2, Transit

from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.login import AppRoleLogin, VaultLogin, VaultToken
from svc_runtime.vault.session import Operation, VaultConnection, VaultSession
from tests.live_files import whole_lines

KV = "session-kv"
TRANSIT = "session-transit"
APPROLE = "session-approle"
POLICY = f"""
path "{KV}/data/forbidden" {{ capabilities = ["deny"] }}
path "{KV}/data/*" {{ capabilities = ["create", "read", "update"] }}
path "{KV}/metadata" {{ capabilities = ["list"] }}
path "{TRANSIT}/encrypt/key" {{ capabilities = ["update"] }}
path "{TRANSIT}/decrypt/key" {{ capabilities = ["update"] }}
path "session-nowhere/*" {{ capabilities = ["read"] }}
"""
CANARY = "sk-canary-of-the-session-test"  # pragma: allowlist secret
DEADLINE_SECONDS = 20.0


class Server(Protocol):
    """The part of the OpenBao server that these tests use."""

    address: str
    ca_file: Path
    audit_log: Path

    @property
    def pid(self) -> int | None: ...
    def client(self) -> hvac.Client: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class TurnableClock(SystemClock):
    """The system's clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


@dataclass
class CountedLogin:
    """A login that counts how often it is used."""

    login: VaultLogin
    count: int = 0

    async def log_in(self, adapter: AsyncVaultAdapter) -> VaultToken:
        self.count += 1
        return await self.login.log_in(adapter)


@dataclass
class VaultSide:
    """What an operator prepared for one test: a role, and its credential in two files."""

    openbao: Server
    folder: Path
    role: str = field(default_factory=lambda: f"role-{uuid.uuid4()}")

    @property
    def login(self) -> AppRoleLogin:
        return AppRoleLogin(APPROLE, self.folder / "role-id", self.folder / "secret-id")

    def session(
        self,
        login: VaultLogin | None = None,
        port: int | None = None,
        clock: SystemClock | None = None,
        *,
        timeout_seconds: float = 5.0,
        max_connections: int = 100,
    ) -> VaultSession:
        """Return a session, not started, with the server or with what listens on *port*."""
        connection = VaultConnection(
            f"https://127.0.0.1:{port}" if port else self.openbao.address,
            self.openbao.ca_file,
            request_timeout_seconds=timeout_seconds,
            max_connections=max_connections,
        )
        return VaultSession(connection, login or self.login, clock or SystemClock())

    def make_role(self, **options: str) -> None:
        self.openbao.client().auth.approle.create_or_update_approle(
            self.role, mount_point=APPROLE, token_policies=["session-test"], **options
        )
        self.write_credential()

    def write_credential(self) -> None:
        approle = self.openbao.client().auth.approle
        role_id = approle.read_role_id(self.role, mount_point=APPROLE)
        secret_id = approle.generate_secret_id(self.role, mount_point=APPROLE)
        self.login.role_id_file.write_text(role_id["data"]["role_id"] + "\n")
        self.login.secret_id_file.write_text(secret_id["data"]["secret_id"] + "\n")

    def void_credential(self) -> None:
        self.openbao.client().auth.approle.destroy_secret_id(
            self.role, self.login.secret_id_file.read_text().strip(), mount_point=APPROLE
        )

    def revoke_tokens(self) -> None:
        self.openbao.client().sys.revoke_prefix(f"auth/{APPROLE}/login")

    def is_known(self, token: SecretBytes) -> bool:
        try:
            self.openbao.client().auth.token.lookup(token.expose().decode())
        except hvac.exceptions.VaultError:
            return False
        return True

    def audited_paths(self, request_id: str) -> set[str]:
        """Return the paths of the audited requests that carried *request_id*."""
        lines = whole_lines(self.openbao.audit_log)
        requests = [json.loads(line)["request"] for line in lines]
        return {
            request["path"]
            for request in requests
            if (request.get("headers") or {}).get("x-keyturn-request-id") == [request_id]
        }


def read(path: str, mount: str = KV) -> Operation:
    return lambda adapter: KvV2(adapter).read_secret(
        path, mount_point=mount, raise_on_deleted_version=True
    )


def write(path: str, value: str, cas: int) -> Operation:
    return lambda adapter: KvV2(adapter).create_or_update_secret(
        path, {"value": value}, cas=cas, mount_point=KV
    )


def encrypt(plaintext: str) -> Operation:
    encoded = base64.b64encode(plaintext.encode()).decode()
    return lambda adapter: Transit(adapter).encrypt_data("key", encoded, mount_point=TRANSIT)


def decrypt(ciphertext: str) -> Operation:
    return lambda adapter: Transit(adapter).decrypt_data("key", ciphertext, mount_point=TRANSIT)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* holds; fail after `DEADLINE_SECONDS`."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110  # polls another process
            await asyncio.sleep(0.02)


def answers(session: VaultSession) -> Callable[[], Awaitable[bool]]:
    """Return the condition that a call of *session* succeeds."""

    async def condition() -> bool:
        try:
            await session.call(encrypt("x"), {})
        except VaultUnavailableError:
            return False
        return True

    return condition


def assert_severed(error: BaseException | None) -> None:
    """Assert that *error* holds nothing of a request that carried `CANARY`."""
    assert error is not None
    assert CANARY not in f"{error} {error!r} {error.args} {vars(error)}"
    assert error.__cause__ is None
    assert error.__context__ is None
