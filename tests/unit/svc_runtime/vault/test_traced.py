"""Spans of exchanges with a server that answers as Vault does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hvac.api.secrets_engines import KvV2, Transit

from keyturn_cli.local.free_ports import free_ports
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.telemetry.spans import server_span
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import (
    VaultNotFoundError,
    VaultPermissionError,
    VaultUnavailableError,
)
from svc_runtime.vault.route import VaultRoute
from tests.span_tape import SpanTape, taping

TOKEN = SecretBytes(b"s.token-that-no-span-may-hold")
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def _adapter(status: int = 200) -> AsyncIterator[tuple[AsyncVaultAdapter, list[web.Request]]]:
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=status, body=b"{}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as pool:
        route = VaultRoute((str(server.make_url("/")),))
        adapter = AsyncVaultAdapter(pool, route, namespace=None, timeout_seconds=5)
        yield adapter.with_token(TOKEN), requests


async def _read(adapter: AsyncVaultAdapter) -> None:
    with server_span("serve", ()):
        await _read_untraced(adapter)


async def _read_untraced(adapter: AsyncVaultAdapter) -> None:
    await KvV2(adapter).read_secret_version(
        "users/alice/keys/openai", mount_point="keyturn-kv", raise_on_deleted_version=False
    )


def _about(tape: SpanTape) -> dict[str, object]:
    span = tape.spans[0]
    about: dict[str, object] = dict(span.attributes or {})
    assert about.pop("server.address") == "127.0.0.1"
    assert isinstance(about.pop("server.port"), int)
    return about


async def test_an_exchange_is_told_by_what_it_asks_and_its_status() -> None:
    with taping() as tape:
        async with _adapter() as (adapter, _):
            await _read(adapter)

    assert tape.names == ["kv.read", "serve"]
    assert _about(tape) == {
        "keyturn.vault.operation": "kv.read",
        "http.request.method": "GET",
        "http.response.status_code": 200,
    }


async def test_no_path_token_or_content_is_seen() -> None:
    with taping() as tape:
        async with _adapter() as (adapter, _):
            await _read(adapter)
            with server_span("serve", ()):
                await Transit(adapter).decrypt_data(
                    "openai", "vault:v1:ciphertext", mount_point="keyturn-transit"
                )

    seen = "".join(span.to_json() for span in tape.spans)
    assert "transit.decrypt" in seen
    never = ["users/", "alice", "openai", "keyturn-kv", "ciphertext", TOKEN.expose().decode()]
    assert [word for word in never if word in seen] == []


async def test_vault_sees_nothing_of_the_trace() -> None:
    with taping():
        async with _adapter() as (adapter, requests):
            await _read(adapter)

    (request,) = requests
    assert request.headers.keys() & {"traceparent", "tracestate"} == set()


@pytest.mark.parametrize(
    ("status", "raised", "word"),
    [
        (403, VaultPermissionError, "403"),
        (503, VaultUnavailableError, "503"),
        (404, VaultNotFoundError, None),
    ],
)
async def test_a_refusal_or_outage_is_a_failure_and_a_record_that_is_not_there_is_none(
    status: int, raised: type[Exception], word: str | None
) -> None:
    with taping() as tape:
        async with _adapter(status) as (adapter, _):
            with pytest.raises(raised):
                await _read(adapter)

    assert _about(tape).get("error.type") == word


async def test_each_node_that_is_tried_has_a_span_of_its_own() -> None:
    with taping() as tape:
        async with _adapter() as (_, requests), aiohttp.ClientSession() as pool:
            away = f"http://127.0.0.1:{free_ports(1)[0]}"
            route = VaultRoute((away, away))
            adapter = AsyncVaultAdapter(pool, route, namespace=None, timeout_seconds=1)
            with pytest.raises(VaultUnavailableError):
                await _read(adapter)

    tries = [span for span in tape.spans if span.name == "kv.read"]
    assert len(tries) > 1
    assert {(span.attributes or {})["error.type"] for span in tries} == {"connection"}
    assert requests == []


async def test_outside_of_a_sampled_call_nothing_is_seen() -> None:
    with taping() as tape:
        async with _adapter() as (adapter, _):
            await _read_untraced(adapter)

    assert tape.spans == []
