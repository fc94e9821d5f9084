"""The adapter against a server that answers as no healthy Vault would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hvac.api.auth_methods import AppRole
from hvac.api.secrets_engines import KvV2

from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.vault.adapter import AsyncVaultAdapter
from svc_runtime.vault.errors import VaultUnavailableError
from svc_runtime.vault.route import VaultRoute


@dataclass
class Peer:
    """A server that records requests and gives each the same answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[web.BaseRequest] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.requests.append(request)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
async def adapter(peer: Peer) -> AsyncIterator[AsyncVaultAdapter]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as pool:
        yield AsyncVaultAdapter(
            pool, VaultRoute((str(server.make_url("/")),)), namespace="team", timeout_seconds=5
        )


async def test_a_request_carries_token_namespace_and_bound_headers(
    adapter: AsyncVaultAdapter, peer: Peer
) -> None:
    bound = adapter.with_token(SecretBytes(b"s.token")).with_headers({"X-Keyturn-Key": "k"})

    await bound.post("/v1/sys/wrapping/wrap", json={"a": 1}, wrap_ttl="10s")

    (request,) = peer.requests
    sent = {name: request.headers.get(name) for name in request.headers if name.startswith("X-")}
    assert sent == {
        "X-Keyturn-Key": "k",
        "X-Vault-Namespace": "team",
        "X-Vault-Request": "true",
        "X-Vault-Token": "s.token",
        "X-Vault-Wrap-TTL": "10s",
    }


async def test_bound_copies_leave_the_original_as_it_was(
    adapter: AsyncVaultAdapter, peer: Peer
) -> None:
    adapter.with_token(SecretBytes(b"s.token")).with_headers({"X-Keyturn-Key": "k"})

    await adapter.get("/v1/x")

    assert "X-Vault-Token" not in peer.requests[0].headers
    assert "X-Keyturn-Key" not in peer.requests[0].headers


async def test_headers_of_a_call_cannot_replace_the_token(
    adapter: AsyncVaultAdapter, peer: Peer
) -> None:
    bound = adapter.with_token(SecretBytes(b"s.token"))

    await bound.with_headers({"X-Vault-Token": "other"}).get("/v1/x")

    assert peer.requests[0].headers.getall("X-Vault-Token") == ["s.token"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(
    adapter: AsyncVaultAdapter, peer: Peer, status: int
) -> None:
    peer.status, peer.headers = status, {"Location": "/v1/elsewhere"}

    with pytest.raises(VaultUnavailableError):
        await adapter.with_token(SecretBytes(b"s.token")).get("/v1/x")

    assert [request.path for request in peer.requests] == ["/v1/x"]


@pytest.mark.parametrize("body", [b"<html>a proxy's page</html>", b"[]", b'{"data": '])
async def test_an_answer_that_is_no_json_object_is_an_outage(
    adapter: AsyncVaultAdapter, peer: Peer, body: bytes
) -> None:
    peer.body = body

    with pytest.raises(VaultUnavailableError) as caught:
        await adapter.get("/v1/x")

    assert caught.value.__context__ is None


async def test_an_answer_without_a_body_is_empty(adapter: AsyncVaultAdapter, peer: Peer) -> None:
    peer.status, peer.body = 204, b""

    assert await adapter.delete("/v1/x") == {}


async def test_a_list_is_sent_as_a_get(adapter: AsyncVaultAdapter, peer: Peer) -> None:
    await KvV2(adapter).list_secrets("users/a", mount_point="kv")

    (request,) = peer.requests
    assert (request.method, request.path_qs) == ("GET", "/v1/kv/metadata/users/a?list=true")


async def test_an_encoded_path_arrives_as_it_was_written(
    adapter: AsyncVaultAdapter, peer: Peer
) -> None:
    await KvV2(adapter).read_secret("a%2Fb@c", mount_point="kv", raise_on_deleted_version=True)

    assert peer.requests[0].raw_path == "/v1/kv/data/a%252Fb%40c"


async def test_a_login_leaves_no_token_behind(adapter: AsyncVaultAdapter, peer: Peer) -> None:
    peer.body = b'{"auth": {"client_token": "s.new"}}'

    answer = await AppRole(adapter).login("role", "secret")
    await adapter.get("/v1/x")

    assert adapter.get_login_token(answer) == "s.new"
    assert "X-Vault-Token" not in peer.requests[1].headers


async def test_an_option_that_the_adapter_does_not_know_is_an_error(
    adapter: AsyncVaultAdapter,
) -> None:
    with pytest.raises(TypeError, match="stream"):
        await adapter.get("/v1/x", stream=True)


async def test_a_closed_pool_is_an_outage(adapter: AsyncVaultAdapter) -> None:
    await adapter._pool.close()

    with pytest.raises(VaultUnavailableError):
        await adapter.get("/v1/x")
