"""What a session does with a real server that works."""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid

import pytest
from hvac.api.secrets_engines import KvV2
from structlog.testing import capture_logs

from svc_runtime.clock import SystemClock
from svc_runtime.service_error import ServiceError
from svc_runtime.vault.errors import (
    VaultAnswerError,
    VaultBadRequestError,
    VaultConflictError,
    VaultNotFoundError,
    VaultUnavailableError,
)
from svc_runtime.vault.session import Operation, VaultConnection, VaultSession
from tests.integration.svc_runtime.vault_side import (
    CANARY,
    KV,
    TRANSIT,
    VaultSide,
    assert_severed,
    decrypt,
    encrypt,
    read,
    write,
)


async def test_a_session_writes_reads_and_lists_kv(session: VaultSession) -> None:
    await session.call(write("listed", "kept", 0), {})

    answer = await session.call(read("listed"), {})
    names = await session.call(lambda a: KvV2(a).list_secrets("", mount_point=KV), {})

    assert answer["data"]["data"] == {"value": "kept"}
    assert "listed" in names["data"]["keys"]


async def test_a_session_encrypts_and_decrypts(session: VaultSession) -> None:
    sealed = await session.call(encrypt("plain"), {})

    opened = await session.call(decrypt(sealed["data"]["ciphertext"]), {})

    assert base64.b64decode(opened["data"]["plaintext"]) == b"plain"


async def test_one_pool_serves_many_calls_at_once(vault_side: VaultSide) -> None:
    async with vault_side.session(max_connections=4) as session:
        sealed = await asyncio.gather(*(session.call(encrypt("x"), {}) for _ in range(40)))

    assert len({answer["data"]["ciphertext"] for answer in sealed}) == 40


async def test_headers_of_a_call_reach_the_audit_log(
    session: VaultSession, vault_side: VaultSide
) -> None:
    request_id = str(uuid.uuid4())

    await session.call(encrypt("x"), {"X-Keyturn-Request-Id": request_id})

    assert vault_side.audited_paths(request_id) == {f"{TRANSIT}/encrypt/key"}


async def test_nothing_stored_is_not_found(session: VaultSession) -> None:
    with pytest.raises(VaultNotFoundError):
        await session.call(read("nobody-wrote-this"), {})


async def test_a_missing_mount_is_an_outage(session: VaultSession) -> None:
    with pytest.raises(VaultUnavailableError):
        await session.call(read("anything", "session-nowhere"), {})


async def test_a_stale_check_and_set_is_a_conflict(session: VaultSession) -> None:
    await session.call(write("contended", "first", 0), {})

    with pytest.raises(VaultConflictError):
        await session.call(write("contended", "second", 0), {})


async def test_a_ciphertext_that_does_not_open_is_a_bad_request(session: VaultSession) -> None:
    with pytest.raises(VaultBadRequestError):
        await session.call(decrypt("vault:v1:" + base64.b64encode(bytes(64)).decode()), {})


async def test_a_ca_file_without_a_certificate_stops_the_start(vault_side: VaultSide) -> None:
    no_ca = vault_side.folder / "ca.pem"
    no_ca.write_text("no certificate")
    session = VaultSession(
        VaultConnection(vault_side.openbao.address, no_ca), vault_side.login, SystemClock()
    )

    with pytest.raises(ssl.SSLError):
        await session.start()


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(write("leak", CANARY, 9), id="conflict"),
        pytest.param(read(CANARY), id="not found"),
        pytest.param(decrypt(CANARY), id="bad request"),
        pytest.param(write("forbidden", CANARY, 0), id="denied"),
    ],
)
async def test_an_error_holds_nothing_of_the_request(
    session: VaultSession, operation: Operation
) -> None:
    with capture_logs() as events, pytest.raises((ServiceError, VaultAnswerError)) as caught:
        await session.call(operation, {"X-Keyturn-Request-Id": CANARY})

    assert_severed(caught.value)
    assert CANARY not in str(events)
