"""The realtime API through the gateway: the SDK's own client, and what any WebSocket sees."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import WSMsgType

from keyturn_cli.standin.standin_keys import KeyKind
from tests.e2e.breaking import until
from tests.e2e.clients import DEADLINE_SECONDS, Clients, new_request_id
from tests.e2e.evidence import UpstreamRequest, upstream_requests
from tests.e2e.owners import OwnedKey, alice, give_key, keep_key

MODEL = "gpt-realtime"
PATH = f"/v1/realtime?model={MODEL}"
ITEM: dict[str, Any] = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "one two"}],
}
RECEIPT = {f"x-keyturn-{name}" for name in ("grant", "key", "key-version", "lease", "request-id")}


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "realtime"))


@asynccontextmanager
async def _opened(
    http: aiohttp.ClientSession,
    headers: dict[str, str],
    *,
    path: str = PATH,
    protocols: tuple[str, ...] = (),
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect, and do not leave before the connection is gone, which aiohttp does not wait for."""
    async with http.ws_connect(
        path, headers=headers, protocols=protocols, autoclose=False
    ) as socket:
        connection = socket._response.connection
        assert connection is not None
        assert connection.protocol is not None
        gone = connection.protocol.closed
        assert gone is not None
        yield socket
    async with asyncio.timeout(DEADLINE_SECONDS):
        await gone


@asynccontextmanager
async def _connected(
    clients: Clients,
    key: OwnedKey,
    path: str = PATH,
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect as the demo app, by its token, and take the first event."""
    async with (
        clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http,
        _opened(http, {"x-keyturn-key": key.name}, path=path) as socket,
    ):
        assert (await _next(clients, socket))["type"] == "session.created"
        yield socket


async def _next(clients: Clients, socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    event: dict[str, Any] = await socket.receive_json()
    clients.keep(event)
    return event


async def _close(clients: Clients, socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Return how the gateway closes, after what else there is."""
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        clients.keep(message.data)
    clients.keep(message)
    assert message.type is WSMsgType.CLOSE
    return message.data, str(message.extra)


async def _refusal(clients: Clients, http: aiohttp.ClientSession, **headers: str) -> Any:  # noqa: ANN401 - JSON
    """Return status and error of a handshake that is refused."""
    handshake = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AQIDBAUGBwgJCgsMDQ4PEA==",
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = named.pop("path", PATH)
    async with http.get(path, headers=handshake | named) as response:
        answer = await response.json()
        clients.keep(dict(response.headers), answer)
    return response.status, answer["error"]["code"]


async def _recorded(clients: Clients, key: OwnedKey) -> list[UpstreamRequest]:
    """Return what reached the stand-in, which writes a session down when it has ended."""

    async def look() -> list[UpstreamRequest]:
        return upstream_requests(clients, key.api_key)

    return await until(look, bool)


def _settings(clients: Clients, key: OwnedKey) -> dict[str, Any]:
    return {
        "base_url": clients.env["KEYTURN_HTTP"] + "/v1",
        "api_key": clients.env["KEYTURN_APP_TOKEN"],
        "default_headers": {"X-Keyturn-Key": key.name},
    }


def _socket_options(clients: Clients) -> Any:  # noqa: ANN401 - the SDK's type lacks `ssl`
    trust = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    return {"ssl": trust, "proxy": None}


async def test_the_asynchronous_sdk_holds_a_conversation(clients: Clients, key: OwnedKey) -> None:
    said, usage = "", None
    async with (
        openai.AsyncOpenAI(**_settings(clients, key)) as sdk,
        sdk.realtime.connect(
            model=MODEL, websocket_connection_options=_socket_options(clients)
        ) as connection,
    ):
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await connection.conversation.item.create(item=ITEM)  # type: ignore[arg-type]  # a TypedDict
        await connection.response.create()
        async for event in connection:
            clients.keep(event)
            if event.type == "response.output_text.delta":
                said += event.delta
            if event.type == "response.done":
                usage = event.response.usage
                break

    assert said == "You said: one two"
    assert usage is not None
    assert usage.total_tokens == 6


@pytest.mark.filterwarnings(  # the SDK's own use of a form that its WebSocket library gives up
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)
def test_the_synchronous_sdk_is_served_alike(clients: Clients, key: OwnedKey) -> None:
    with (
        openai.OpenAI(**_settings(clients, key)) as sdk,
        sdk.realtime.connect(
            model=MODEL, websocket_connection_options=_socket_options(clients)
        ) as connection,
    ):
        connection.conversation.item.create(item=ITEM)  # type: ignore[arg-type]  # a TypedDict
        connection.response.create()
        types: list[str] = []
        while not types or types[-1] != "response.done":
            types.append(connection.recv().type)

    assert types[0] == "session.created"


async def test_a_handshake_reaches_openai_with_the_key_and_without_what_is_the_apps(
    clients: Clients,
) -> None:
    key = await give_key(clients, "handshake")
    token = clients.env["KEYTURN_APP_TOKEN"]
    own = {
        "x-keyturn-key": key.name,
        "cookie": "session=of-the-app",
        "origin": "https://app.example",
        "openai-organization": "org-of-the-app",
        "openai-beta": "realtime=v1",
        "user-agent": "till/1.0",
    }
    protocols = ("realtime", f"openai-insecure-api-key.{token}", "openai-project.of-the-app")
    async with (
        clients.http() as http,
        _opened(http, own, protocols=protocols) as socket,
    ):
        await _next(clients, socket)
        receipt = {name.lower() for name in socket._response.headers}
        await socket.close()
    (request,) = await _recorded(clients, key)

    assert socket.protocol == "realtime"
    assert receipt >= RECEIPT
    assert request.path == PATH
    assert request.headers["sec-websocket-protocol"] == "realtime"
    assert request.headers["openai-beta"] == "realtime=v1"
    assert set(request.headers) == {
        "accept",
        "authorization",
        "connection",
        "host",
        "openai-beta",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "upgrade",
        "user-agent",
    }


async def test_text_and_binary_messages_pass_untouched(clients: Clients, key: OwnedKey) -> None:
    async with _connected(clients, key) as socket:
        await socket.send_bytes(bytes(range(256)) * 1000)
        echo = await socket.receive_bytes()
        await socket.send_str('{"type" : "session.update", "session":{"x":"\\u00e4\U0001f600"} }')
        event = await _next(clients, socket)

    assert echo == bytes(range(256)) * 1000
    assert event["session"]["x"] == "\u00e4\U0001f600"


async def test_openais_close_reaches_the_app_with_code_and_reason(
    clients: Clients, key: OwnedKey
) -> None:
    async with _connected(clients, key) as socket:
        await socket.send_str("close me")

        assert await _close(clients, socket) == (4000, "bye")


async def test_an_error_event_does_not_show_the_key(clients: Clients, key: OwnedKey) -> None:
    async with _connected(clients, key, f"{PATH}-echo") as socket:
        await socket.send_json({"type": "response.create"})
        event = await _next(clients, socket)

    assert event["type"] == "error"
    assert "[key]" in event["error"]["message"]
    assert key.api_key.expose()[-4:].decode() not in json.dumps(event)


async def test_a_model_that_is_not_granted_ends_the_session_before_openai_hears_of_it(
    clients: Clients,
) -> None:
    key = await give_key(clients, "one-model", models=[MODEL])
    async with _connected(clients, key) as socket:
        await socket.send_json({"type": "session.update", "session": {"model": "gpt-other"}})

        assert await _close(clients, socket) == (1008, "MODEL_NOT_GRANTED")
    async with clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http:
        refusal = await _refusal(
            clients, http, x_keyturn_key=key.name, path="/v1/realtime?model=gpt-other"
        )

    assert refusal == (403, "MODEL_NOT_GRANTED")
    assert len(await _recorded(clients, key)) == 1


async def test_a_revoked_grant_ends_a_session_when_it_names_another_model(clients: Clients) -> None:
    key = await keep_key(clients, "live-revoke")
    grant = await alice(clients).create_grant(key.name)
    async with _connected(clients, key) as socket:
        await socket.send_json({"type": "session.update", "session": {"model": "gpt-second"}})
        assert (await _next(clients, socket))["type"] == "session.updated"

        await alice(clients).revoke_grant(grant.name)
        await socket.send_json({"type": "session.update", "session": {"model": "gpt-third"}})

        assert await _close(clients, socket) == (1008, "GRANT_REVOKED")


async def test_handshakes_are_refused_as_requests_are(clients: Clients, key: OwnedKey) -> None:
    kept = await keep_key(clients, "live-kept")
    async with clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http:
        without_grant = await _refusal(clients, http, x_keyturn_key=kept.name)
        malformed = await _refusal(clients, http, x_keyturn_key=key.name, sec_websocket_key="x")
    async with clients.http() as http:
        without_proof = await _refusal(clients, http, x_keyturn_key=key.name)

    assert without_grant == (403, "NOT_GRANTED")
    assert malformed == (400, "INVALID_ARGUMENT")
    assert without_proof == (401, "CALLER_UNVERIFIED")
    assert upstream_requests(clients, kept.api_key) == []


async def test_openais_refusal_of_a_handshake_is_passed_on(clients: Clients, key: OwnedKey) -> None:
    headers = {"x_keyturn_key": key.name, "x_keyturn_request_id": new_request_id()}
    async with clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http:
        status, code = await _refusal(clients, http, path="/v1/realtime", **headers)

    assert (status, code) == (400, "missing_required_parameter")


async def test_a_key_that_openai_refuses_is_told_so_at_the_handshake(clients: Clients) -> None:
    revoked = await give_key(clients, "live-revoked", KeyKind.SOONREVOKED)
    async with clients.http(token=clients.env["KEYTURN_APP_TOKEN"]) as http:
        refusal = await _refusal(clients, http, x_keyturn_key=revoked.name)

    assert refusal == (401, "KEY_REJECTED_UPSTREAM")
