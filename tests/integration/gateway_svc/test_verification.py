"""Keys tried over real HTTP at the stand-in: each kind of key is told apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway_svc.domain.verification import VerificationOutcome
from gateway_svc.openai_api.aiohttp_upstream import AiohttpUpstream
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.standin.app import make_app
from keyturn_cli.standin.record import RequestRecord
from keyturn_cli.standin.standin_keys import SERVED_BEFORE_REVOCATION, KeyKind, make_key
from svc_runtime.clock import SystemClock
from svc_runtime.secret_bytes import SecretBytes
from tests.fakes.fake_key_opener import FakeKeyOpener
from tests.fakes.fake_verification_desk import FakeVerificationDesk
from tests.unit.gateway_svc.verification_stage import MODEL, make_verifier, verification

OUTCOMES = {
    KeyKind.WORKING: VerificationOutcome.VERIFIED,
    KeyKind.RATELIMITED: VerificationOutcome.VERIFIED,
    KeyKind.SOONREVOKED: VerificationOutcome.VERIFIED,
    KeyKind.BROKE: VerificationOutcome.NO_QUOTA,
    KeyKind.FAILING: VerificationOutcome.OPENAI_UNREACHABLE,
    KeyKind.OVERLOADED: VerificationOutcome.OPENAI_UNREACHABLE,
    KeyKind.REVOKED: VerificationOutcome.WRONG_KEY,
    KeyKind.FORBIDDEN: VerificationOutcome.NO_PERMISSION,
    KeyKind.IPBLOCKED: VerificationOutcome.NO_PERMISSION,
}


@pytest.fixture
def record_path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
async def upstream(record_path: Path) -> AsyncIterator[AiohttpUpstream]:
    record = RequestRecord(record_path)
    runner = web.AppRunner(make_app(SystemClock(), record), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = AiohttpUpstream(
        [f"http://127.0.0.1:{runner.addresses[0][1]}/v1"], None, max_connections=4
    )
    await client.start()
    yield client
    await client.close()
    await runner.cleanup()
    record.close()


async def _tried(
    upstream: AiohttpUpstream, key: SecretBytes, model: str = MODEL
) -> VerificationOutcome:
    opener = FakeKeyOpener(key)
    verifier = make_verifier(upstream, FakeVerificationDesk(), opener=opener, model=model)
    return await verifier.verify(verification())


@pytest.mark.parametrize("kind", list(KeyKind))
async def test_every_kind_of_key_is_told_apart(upstream: AiohttpUpstream, kind: KeyKind) -> None:
    assert await _tried(upstream, make_key(kind)) is OUTCOMES[kind]


async def test_a_key_that_openai_has_never_seen_is_wrong(upstream: AiohttpUpstream) -> None:
    key = SecretBytes(b"sk-proj-canary-0123456789abcdef")

    assert await _tried(upstream, key) is VerificationOutcome.WRONG_KEY


async def test_a_key_that_dies_after_its_verification_is_found_wrong_by_the_next(
    upstream: AiohttpUpstream,
) -> None:
    key = make_key(KeyKind.SOONREVOKED)
    outcomes = [await _tried(upstream, key) for _ in range(2)]

    assert outcomes == [VerificationOutcome.VERIFIED, VerificationOutcome.WRONG_KEY]


@pytest.mark.parametrize("model", ["unknown-canary", "error-400"])
async def test_a_model_that_has_gone_leaves_the_key_verified(
    upstream: AiohttpUpstream, model: str
) -> None:
    assert await _tried(upstream, make_key(), model) is VerificationOutcome.VERIFIED


async def test_one_verification_is_as_many_requests_as_the_stand_in_counts_on(
    upstream: AiohttpUpstream, record_path: Path
) -> None:
    await _tried(upstream, make_key())

    lines = [json.loads(line) for line in record_path.read_text().splitlines()]
    assert [(line["method"], line["path"]) for line in lines] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
    ]
    assert len(lines) == SERVED_BEFORE_REVOCATION
    assert len({line["authorization_sha256"] for line in lines}) == 1


async def test_an_openai_that_is_not_there_is_unreachable() -> None:
    (port,) = free_ports(1)
    client = AiohttpUpstream([f"http://127.0.0.1:{port}/v1"], None, max_connections=1)
    await client.start()
    try:
        outcome = await _tried(client, make_key())
    finally:
        await client.close()

    assert outcome is VerificationOutcome.OPENAI_UNREACHABLE


async def test_a_connection_that_is_cut_in_the_middle_is_unreachable() -> None:
    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = AiohttpUpstream([f"http://127.0.0.1:{port}/v1"], None, max_connections=1)
    await client.start()
    try:
        outcome = await _tried(client, make_key())
    finally:
        await client.close()
        server.close()
        await server.wait_closed()

    assert outcome is VerificationOutcome.OPENAI_UNREACHABLE
