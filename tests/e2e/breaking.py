"""What an app hears while something is broken, and what brings it back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar

import aiohttp
import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from keyturn.keyvault.v1.key_service_pb2_grpc import KeyServiceStub
from svc_runtime.error_details import reason_of
from tests.e2e.clients import DEADLINE_SECONDS, Clients, key_name, metadata, parameters
from tests.live_files import whole_lines

T = TypeVar("T")
Verdict: TypeAlias = "tuple[str | int, str | None]"
"""gRPC code or HTTP status, and the reason that came with it."""

SERVED: Verdict = ("OK", None)
SERVED_HTTP: Verdict = (200, None)
_RECOVERY_SECONDS = 20.0
_POLL_SECONDS = 0.05


async def by_grpc(
    clients: Clients,
    *,
    model: str = "gpt-4o-mini",
    seconds: float = DEADLINE_SECONDS,
    request_id: str | None = None,
) -> Verdict:
    """Ask the gateway over gRPC, on a connection of its own."""
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters(model=model)),
            timeout=seconds,
            metadata=metadata(request_id=request_id),
        )
        return await verdict(clients, call)


async def by_http(
    clients: Clients, *, model: str = "gpt-4o-mini", token: str | None = None
) -> Verdict:
    """Ask the gateway over HTTP, with *token* or the app's certificate."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    app = None if token else "demo"
    async with (
        clients.http(app=app, token=token) as http,
        http.post("/v1/chat/completions", json=body) as response,
    ):
        try:
            answer = await response.read()
        except aiohttp.ClientPayloadError:
            return (response.status, "CUT")
        clients.keep(dict(response.headers), answer)
        reason = None if response.ok else json.loads(answer)["error"]["code"]
        return (response.status, reason)


async def by_token(clients: Clients) -> Verdict:
    """Ask the gateway over HTTP, with the demo app's token."""
    return await by_http(clients, token=clients.env["KEYTURN_APP_TOKEN"])


async def by_owner(clients: Clients) -> Verdict:
    """Let the owner list their keys."""
    async with clients.owner_port() as channel:
        call = KeyServiceStub(channel).ListKeys(
            keys_pb.ListKeysRequest(parent=key_name("any").partition("/keys/")[0]),
            timeout=DEADLINE_SECONDS,
            metadata=clients.owner_metadata(),
        )
        return await verdict(clients, call)


async def verdict(clients: Clients, call: Awaitable[object]) -> Verdict:
    """Return what became of *call*."""
    try:
        clients.keep(await call)
    except grpc.aio.AioRpcError as error:
        clients.keep(error)
        return (error.code().name, reason_of(error))
    return SERVED


async def healthy(clients: Clients) -> None:
    """Wait until every way of calling is served again.

    Raises:
        TimeoutError: It does not come back.
    """
    for ask in (by_owner, by_grpc, by_http, by_token):
        await until(partial(ask, clients), lambda heard: heard in {SERVED, SERVED_HTTP})


def kill(clients: Clients, service: str) -> None:
    """End *service* without a chance to tidy up."""
    child = clients.stack.services[service]
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout_seconds=DEADLINE_SECONDS)


def log_lines(clients: Clients, service: str, **fields: object) -> list[dict[str, Any]]:
    """Return the lines of *service*'s log that have all of *fields*."""
    log = clients.stack.layout.logs_dir / f"{service}.log"
    lines = [json.loads(line) for line in whole_lines(log) if line.startswith("{")]
    return [line for line in lines if fields.items() <= line.items()]


async def logged(
    clients: Clients, service: str, *, count: int = 1, **fields: object
) -> list[dict[str, Any]]:
    """Wait until *service* has logged *count* lines that have all of *fields*; return them all.

    Raises:
        TimeoutError: It does not log them.
    """

    async def look() -> list[dict[str, Any]]:
        return log_lines(clients, service, **fields)

    return await until(look, lambda lines: len(lines) >= count)


async def until(look: Callable[[], Awaitable[T]], is_it: Callable[[T], bool]) -> T:
    """Look until *is_it*, and return what was seen then.

    Raises:
        TimeoutError: It does not come to that.
    """
    async with asyncio.timeout(_RECOVERY_SECONDS):
        # What is waited for happens in another process, so there is no event to wait for.
        while not is_it(seen := await look()):  # noqa: ASYNC110 - as said above
            await asyncio.sleep(_POLL_SECONDS)
    return seen
