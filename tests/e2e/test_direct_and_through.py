"""A request sent through the gateway reaches OpenAI as one sent directly, and so does the answer.

What differs is named here, and documented for app developers; everything else is equal.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from yarl import URL

from tests.e2e.clients import Clients
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.sdk_call import Things
from tests.e2e.sdk_calls import AS_THE_SDK_WARNS, SDK_CALLS
from tests.e2e.sdk_clients import settings_direct, settings_through, sync_sdk, trust
from tests.e2e.sdk_compare import shown, shown_answer, shown_handshake
from tests.e2e.sdk_raw import ANYTHING, CHAT, GZIP, JSON, RAW, Raw
from tests.e2e.sdk_things import make_things
from tests.e2e.sdk_wire import Answer, FixedBoundaryOpenAI, Recorder, Watch, without_news

pytestmark = AS_THE_SDK_WARNS


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    endpoints = ("*", "realtime/client_secrets")
    return asyncio.run(give_key(clients, "direct-and-through", endpoints=endpoints))


@pytest.fixture(scope="module")
def things(clients: Clients, key: OwnedKey) -> Things:
    """What the calls look at, made at the stand-in."""
    with sync_sdk(clients, settings_direct(clients, key)) as direct:
        return make_things(direct)


@pytest.mark.parametrize("name", SDK_CALLS)
async def test_a_call_of_the_sdk_is_the_same_on_both_ways(
    clients: Clients, key: OwnedKey, things: Things, name: str
) -> None:
    sent, got = await _make(clients, key, things, name, is_direct=True)
    sent_on, passed_back = await _make(clients, key, things, name, is_direct=False)

    assert sent
    assert sent_on == sent
    assert passed_back == got


async def _make(
    clients: Clients, key: OwnedKey, things: Things, name: str, *, is_direct: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make a call and return what reached the stand-in, and what came back."""
    recorder, watch = Recorder(clients, key), Watch(clients)
    http = openai.DefaultHttpxClient(transport=watch, trust_env=False)
    settings = settings_direct(clients, key) if is_direct else settings_through(clients, key.name)
    with FixedBoundaryOpenAI(**settings, http_client=http) as sdk:
        assert await SDK_CALLS[name].run(sdk, things) == SDK_CALLS[name].gives
    clients.keep(*watch.answers)
    pairs = list(zip(recorder.new(), watch.answers, strict=True))
    return (
        [shown(request, answer.to, is_direct=is_direct) for request, answer in pairs],
        [shown_answer(answer, is_direct=is_direct) for answer in watch.answers],
    )


@pytest.mark.parametrize("name", RAW)
async def test_any_request_is_the_same_on_both_ways(
    clients: Clients, key: OwnedKey, name: str
) -> None:
    sent, got = await _ask(clients, key, RAW[name], is_direct=True)
    sent_on, passed_back = await _ask(clients, key, RAW[name], is_direct=False)

    assert got["status"] == RAW[name].status
    assert sent_on == sent
    if RAW[name].target.startswith(ANYTHING):
        got, passed_back = _without_mirrored_headers(got), _without_mirrored_headers(passed_back)
    assert passed_back == got


def _without_mirrored_headers(answer: dict[str, Any]) -> dict[str, Any]:
    """Return *answer* without the request's headers, which it repeats, and its length."""
    headers = dict(answer["headers"])
    is_compressed = "content-encoding" in headers
    body = gzip.decompress(answer["body"]) if is_compressed else answer["body"]
    mirrored = json.loads(body) if body else {}
    mirrored.pop("headers", None)
    return answer | {"headers": headers | {"content-length": ""}, "body": mirrored}


async def test_a_compressed_stream_comes_to_the_same(clients: Clients, key: OwnedKey) -> None:
    # The gateway reads a stream event by event, and so passes it on uncompressed.
    raw = Raw("POST", "/v1/chat/completions", (JSON, GZIP), CHAT)
    sent, got = await _ask(clients, key, raw, is_direct=True)
    sent_on, passed_back = await _ask(clients, key, raw, is_direct=False)

    encoding = ("content-encoding", "gzip")
    assert sent_on == sent
    assert passed_back["headers"] == [pair for pair in got["headers"] if pair != encoding]
    assert passed_back["body"] == without_news(gzip.decompress(got["body"]))


async def _ask(
    clients: Clients, key: OwnedKey, raw: Raw, *, is_direct: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    recorder = Recorder(clients, key)
    base_url = f"http://127.0.0.1:{clients.stack.ports['openai-standin']}"
    own = [("Authorization", f"Bearer {key.api_key.expose().decode()}")]
    if not is_direct:
        base_url = clients.env["KEYTURN_HTTP"]
        token = clients.env["KEYTURN_APP_TOKEN"]
        own = [("Authorization", f"Bearer {token}"), ("X-Keyturn-Key", key.name)]
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.request(
            raw.method,
            URL(base_url + raw.target, encoded=True),
            headers=[*own, *raw.headers],
            data=_pieces(raw.body) if isinstance(raw.body, list) else raw.body or None,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            ssl=trust(clients),
        ) as response,
    ):
        headers = [(name.lower(), value) for name, value in response.headers.items()]
        body = b"".join(raw.body) if isinstance(raw.body, list) else raw.body
        answer = Answer(body, response.status, headers, bytearray(await response.read()))
    clients.keep(answer)
    (request,) = recorder.new()
    return (
        shown(request, body, is_direct=is_direct),
        shown_answer(answer, is_direct=is_direct),
    )


async def _pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_realtime_session_of_the_sdk_is_the_same_on_both_ways(
    clients: Clients, key: OwnedKey
) -> None:
    sent, got = await _converse(clients, key, is_direct=True)
    sent_on, passed_back = await _converse(clients, key, is_direct=False)

    assert sent_on == sent
    assert passed_back == got


async def _converse(
    clients: Clients, key: OwnedKey, *, is_direct: bool
) -> tuple[dict[str, Any], list[bytes]]:
    """Hold a session and return what reached the stand-in, and every event that came back."""
    recorder = Recorder(clients, key)
    settings = settings_direct(clients, key) if is_direct else settings_through(clients, key.name)
    if is_direct:
        settings["websocket_base_url"] = settings["base_url"].replace("http:", "ws:")
    options: Any = {"proxy": None} | ({} if is_direct else {"ssl": trust(clients)})
    events: list[bytes] = []
    async with (
        openai.AsyncOpenAI(**settings) as sdk,
        sdk.realtime.connect(
            model="gpt-realtime", extra_query={"x[]": "a b"}, websocket_connection_options=options
        ) as connection,
    ):
        await connection.session.update(session={"type": "realtime", "instructions": "t\u00fcr"})
        await connection.input_audio_buffer.append(audio="AAEC")
        await connection.response.create()
        while not events or b"response.done" not in events[-1]:
            events.append(without_news(await connection.recv_bytes()))
    return shown_handshake(await recorder.session()), events
