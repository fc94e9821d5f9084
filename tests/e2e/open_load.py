"""Calls at a steady rate, whatever becomes of them, as apps make them; nothing is retried."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import grpc
import openai

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from svc_runtime.error_details import reason_of
from tests.e2e.clients import Clients, parameters
from tests.e2e.sdk_clients import trust

CALLS_PER_SECOND: Final = 50
# Some of them streams. A machine that cannot serve so many a second gets fewer, and is not buried.
_MOST_UNDER_WAY: Final = 40
_DEADLINE_SECONDS: Final = 30.0
_KEEPALIVE_SECONDS: Final = 5.0  # what the SDK's client has, too
_MODEL: Final = "gpt-4o-mini"
_SLOW: Final = "gpt-4o-mini-slow"  # 50 ms a word
_WORDS: Final = "word " * 40  # a stream of two seconds
_ANSWER: Final = f"You said: {_WORDS}"
_SAID: Final = {"model": _MODEL, "messages": [{"role": "user", "content": "hello"}]}
# One cycle of calls; two of them are streams that last.
_MIX: Final = ("grpc", "http", "grpc", "sdk", "grpc", "http", "grpc", "grpc-stream", "http", "grpc")
_LONG: Final = 5  # every so many cycles the last of them is an event stream of the SDK

Ask = Callable[[], Awaitable[str]]


@dataclass
class Tally:
    """What became of the calls.

    Attributes:
        served: How many, by kind.
        failures: What was heard instead, by kind.
        seconds: How long each took that was served, and when it began, by the monotonic clock.
    """

    served: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Way:
    """Where apps find the gateway.

    Attributes:
        grpc_target: gRPC target whose name has all gateways' addresses.
        http_port: Port on 127.0.0.1 that leads to one of them.
    """

    grpc_target: str
    http_port: int


@asynccontextmanager
async def load(clients: Clients, way: Way) -> AsyncIterator[Tally]:
    """Call for as long as the context lasts; wait for those under way at its end.

    Up to so many calls begin each second whatever becomes of those before.
    """
    tally = Tally()
    is_over = asyncio.Event()
    async with _apps(clients, way) as asks:
        calling = asyncio.create_task(_call(asks, tally, is_over))
        try:
            yield tally
        finally:
            is_over.set()
            await calling


async def _call(asks: dict[str, Ask], tally: Tally, is_over: asyncio.Event) -> None:
    due = time.monotonic()
    room = asyncio.Semaphore(_MOST_UNDER_WAY)
    async with asyncio.TaskGroup() as calls:
        for number in itertools.count():
            kind = _MIX[number % len(_MIX)]
            if number % (len(_MIX) * _LONG) == 0:
                kind = "sdk-stream"
            await room.acquire()
            call = calls.create_task(_count(kind, asks[kind], tally))
            call.add_done_callback(lambda _: room.release())
            due = max(due + 1 / CALLS_PER_SECOND, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            if is_over.is_set():
                return


async def _count(kind: str, ask: Ask, tally: Tally) -> None:
    begun = time.monotonic()
    failure = await ask()
    if failure:
        tally.failures[kind, failure] += 1
    else:
        tally.served[kind] += 1
        tally.seconds.append((begun, time.monotonic() - begun))


@asynccontextmanager
async def _apps(clients: Clients, way: Way) -> AsyncIterator[dict[str, Ask]]:
    async with (
        grpc_app(clients, way) as channel,
        http_app(clients, way) as http,
        sdk_app(clients, way) as sdk,
    ):
        yield {
            "grpc": lambda: _by_grpc(channel),
            "grpc-stream": lambda: _by_grpc_stream(channel),
            "http": lambda: _by_http(http),
            "sdk": lambda: _by_sdk(sdk),
            "sdk-stream": lambda: _by_sdk_stream(sdk),
        }


def grpc_app(clients: Clients, way: Way) -> grpc.aio.Channel:
    """Return a channel of the demo app with its certificate."""
    certificate, key = clients.stack.layout.certificate("app-demo")
    credentials = grpc.ssl_channel_credentials(
        clients.stack.layout.ca_file.read_bytes(), key.read_bytes(), certificate.read_bytes()
    )
    options = (
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.enable_http_proxy", 0),
    )
    return grpc.aio.secure_channel(way.grpc_target, credentials, options=options)


def http_app(clients: Clients, way: Way) -> aiohttp.ClientSession:
    """Return a client of the demo app with its token, which keeps connections."""
    return aiohttp.ClientSession(
        f"https://127.0.0.1:{way.http_port}",
        connector=aiohttp.TCPConnector(ssl=trust(clients), keepalive_timeout=_KEEPALIVE_SECONDS),
        headers={"authorization": f"Bearer {clients.env['KEYTURN_APP_TOKEN']}"},
        timeout=aiohttp.ClientTimeout(total=_DEADLINE_SECONDS),
    )


def sdk_app(clients: Clients, way: Way) -> openai.AsyncOpenAI:
    """Return the stock SDK with the demo app's token; it retries nothing."""
    return openai.AsyncOpenAI(
        base_url=f"https://127.0.0.1:{way.http_port}/v1",
        api_key=clients.env["KEYTURN_APP_TOKEN"],
        max_retries=0,
        timeout=_DEADLINE_SECONDS,
        http_client=openai.DefaultAsyncHttpxClient(verify=trust(clients), trust_env=False),
    )


async def _by_grpc(channel: grpc.aio.Channel) -> str:
    try:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters(model=_MODEL)),
            timeout=_DEADLINE_SECONDS,
        )
    except grpc.aio.AioRpcError as error:
        return _told(error)
    return ""


async def _by_grpc_stream(channel: grpc.aio.Channel) -> str:
    request = chat_service_pb.StreamChatCompletionRequest(
        parameters=parameters(_WORDS, model=_SLOW)
    )
    stub = ChatCompletionServiceStub(channel)
    try:
        pieces = [
            choice.delta.content
            async for part in stub.StreamChatCompletion(request, timeout=_DEADLINE_SECONDS)
            for choice in part.chunk.choices
        ]
    except grpc.aio.AioRpcError as error:
        return _told(error)
    return "" if "".join(pieces) == _ANSWER else "garbled"


async def _by_http(http: aiohttp.ClientSession) -> str:
    try:
        async with http.post("/v1/chat/completions", json=_SAID) as response:
            await response.read()
            return "" if response.ok else str(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return repr(error)


async def _by_sdk(sdk: openai.AsyncOpenAI) -> str:
    try:
        await sdk.chat.completions.create(
            model=_MODEL, messages=[{"role": "user", "content": "hello"}]
        )
    except openai.APIError as error:
        return repr(error)
    return ""


async def _by_sdk_stream(sdk: openai.AsyncOpenAI) -> str:
    try:
        events = await sdk.chat.completions.create(
            model=_SLOW, messages=[{"role": "user", "content": _WORDS}], stream=True
        )
        pieces = [choice.delta.content or "" async for e in events for choice in e.choices]
    except (openai.APIError, openai.OpenAIError) as error:
        return repr(error)
    return "" if "".join(pieces) == _ANSWER else "garbled"


def _told(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name} {reason_of(error)} {error.details()}"
