"""One chat completion as a stream, in each of the ways in which an app can have it."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub
from tests.e2e.clients import Clients, metadata, parameters
from tests.e2e.owners import OwnedKey

PATIENCE_SECONDS = 80.0
CHAT = "/v1/chat/completions"
DONE = "[DONE]"

Events = AsyncIterator[str]
Way = Callable[[Clients, OwnedKey, str], AbstractAsyncContextManager[Events]]
"""Enters with what each event says as soon as it is here: its text, or `[DONE]` for OpenAI's
mark. Leaving early gives the stream up."""


@asynccontextmanager
async def http_apps(clients: Clients, key: OwnedKey) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client that may hold any number of connections."""
    tls = ssl.create_default_context(cafile=clients.stack.layout.ca_file)
    token = clients.env["KEYTURN_APP_TOKEN"]
    async with aiohttp.ClientSession(
        f"https://127.0.0.1:{clients.port('gateway', 'http')}",
        connector=aiohttp.TCPConnector(ssl=tls, limit=0),
        headers={"authorization": f"Bearer {token}", "x-keyturn-key": key.name},
        timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
    ) as session:
        yield session


@asynccontextmanager
async def http_events(http: aiohttp.ClientSession, model: str) -> AsyncIterator[Events]:
    """Stream over HTTP with the client *http*."""
    async with http.post(CHAT, json=question(model)) as response:
        assert response.status == 200
        yield _said(response.content.iter_any())


@asynccontextmanager
async def over_http(clients: Clients, key: OwnedKey, model: str) -> AsyncIterator[Events]:
    """Stream over HTTP."""
    async with http_apps(clients, key) as http, http_events(http, model) as events:
        yield events


@asynccontextmanager
async def passed_through(clients: Clients, key: OwnedKey, model: str) -> AsyncIterator[Events]:
    """Stream over gRPC, by the pass-through call."""
    request = pass_pb.UpstreamRequest(
        method="POST", path="chat/completions", body=json.dumps(question(model)).encode()
    )
    async with clients.gateway() as channel:
        call = PassThroughServiceStub(channel).StreamCall(
            pass_pb.StreamCallRequest(request=request),
            timeout=PATIENCE_SECONDS,
            metadata=metadata(key.name),
        )
        try:
            head = await anext(aiter(call))
            assert head.head.status == 200
            yield _said(part.body async for part in call)
        finally:
            call.cancel()


@asynccontextmanager
async def typed(clients: Clients, key: OwnedKey, model: str) -> AsyncIterator[Events]:
    """Stream over gRPC, by the typed call, which has no mark for the end."""
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=parameters("count", model)),
            timeout=PATIENCE_SECONDS,
            metadata=metadata(key.name),
        )
        try:
            yield (answer.chunk.choices[0].delta.content async for answer in call)
        finally:
            call.cancel()


WAYS: dict[str, Way] = {"http": over_http, "pass-through": passed_through, "typed": typed}


def question(model: str) -> dict[str, Any]:
    """Return the body of the request."""
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": "count"}]}


async def _said(pieces: AsyncIterator[bytes]) -> Events:
    rest = b""
    async for piece in pieces:
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            data = event.removeprefix(b"data: ").decode()
            yield data if data == DONE else _content(data)
    assert rest == b""


def _content(data: str) -> str:
    delta = json.loads(data)["choices"][0]["delta"]
    return str(delta.get("content", ""))
