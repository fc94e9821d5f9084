"""An app asks one question: what matters is whether it is served, and if not, why."""

from __future__ import annotations

import grpc

from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, parameters

SERVED = "SERVED"
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


async def ask(
    clients: Clients,
    key: str,
    *,
    app: str = "demo",
    replica: int = 1,
    request_id: str | None = None,
) -> str:
    """Ask over gRPC with *key*; return `SERVED`, or the reason of the refusal."""
    return (await ask_often(clients, key, 1, app=app, replica=replica, request_id=request_id))[0]


async def ask_often(
    clients: Clients,
    key: str,
    count: int,
    *,
    app: str = "demo",
    replica: int = 1,
    request_id: str | None = None,
) -> list[str]:
    """Ask *count* times, one after the other over one connection; see `ask`."""
    async with clients.gateway(app=app, replica=replica) as channel:
        return [await _ask(clients, channel, metadata(key, request_id)) for _ in range(count)]


async def _ask(
    clients: Clients, channel: grpc.aio.Channel, entries: tuple[tuple[str, str], ...]
) -> str:
    request = chat_service_pb.CreateChatCompletionRequest(parameters=parameters())
    stub = ChatCompletionServiceStub(channel)
    try:
        clients.keep(
            await stub.CreateChatCompletion(request, timeout=DEADLINE_SECONDS, metadata=entries)
        )
    except grpc.aio.AioRpcError as error:
        return clients.reason(error) or error.code().name
    return SERVED


async def ask_over_http(
    clients: Clients, key: str, *, replica: int = 1, request_id: str | None = None
) -> str:
    """Ask over HTTP with *key* and the demo app's token; return `SERVED`, or the error's code."""
    headers = dict(metadata(key, request_id))
    token = clients.env["KEYTURN_APP_TOKEN"]
    async with (
        clients.http(token=token, replica=replica) as http,
        http.post("/v1/chat/completions", json=QUESTION, headers=headers) as response,
    ):
        answer = await response.json()
        clients.keep(dict(response.headers), answer)
    return SERVED if response.ok else str(answer["error"]["code"])
