"""Serves ChatCompletionService."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.errors import UpstreamAnswerUnusableError, UpstreamUnavailableError
from gateway_svc.domain.relay import AppCall, Exchange, Relay
from gateway_svc.domain.sse import DONE, EventDecoder
from gateway_svc.rpc.answers import FIRST_ERROR, broken_off, json_object, read_whole, refusal
from gateway_svc.rpc.app_calls import AppCalls, send_receipt
from gateway_svc.rpc.json_messages import JSONValue, fill, to_object
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceServicer
from svc_runtime.authentication import ServicerContext

_ENDPOINT: Final = Endpoint.parse("chat/completions")
_JSON: Final = (("content-type", "application/json"),)


class ChatCompletionServicer(ChatCompletionServiceServicer):
    """ChatCompletionService over `Relay`."""

    def __init__(self, relay: Relay, calls: AppCalls) -> None:
        self._relay = relay
        self._calls = calls

    async def CreateChatCompletion(
        self,
        request: chat_service_pb.CreateChatCompletionRequest,
        context: ServicerContext,
    ) -> chat_service_pb.CreateChatCompletionResponse:
        """Return one whole answer."""
        call = self._call(context, request.parameters, is_stream=False)
        async with self._relay.exchange(call) as exchange:
            await send_receipt(context, exchange)
            body = await read_whole(exchange)
        if exchange.status >= FIRST_ERROR:
            raise refusal(exchange, body)
        response = chat_service_pb.CreateChatCompletionResponse()
        fill(response.completion, json_object(body))
        return response

    async def StreamChatCompletion(
        self,
        request: chat_service_pb.StreamChatCompletionRequest,
        context: ServicerContext,
    ) -> AsyncIterator[chat_service_pb.StreamChatCompletionResponse]:
        """Return the answer piece by piece."""
        call = self._call(context, request.parameters, is_stream=True)
        async with self._relay.exchange(call) as exchange:
            await send_receipt(context, exchange)
            if exchange.status >= FIRST_ERROR:
                raise refusal(exchange, await read_whole(exchange))
            async for chunk in _chunks(exchange):
                response = chat_service_pb.StreamChatCompletionResponse()
                fill(response.chunk, chunk)
                yield response

    def _call(
        self,
        context: ServicerContext,
        parameters: chat_service_pb.ChatCompletionParameters,
        *,
        is_stream: bool,
    ) -> AppCall:
        body = to_object(parameters, "parameters")
        if is_stream:
            body["stream"] = True
        return self._calls.make(
            context,
            method="POST",
            endpoint=_ENDPOINT,
            headers=_JSON,
            body=json.dumps(body, ensure_ascii=False, allow_nan=False).encode(),
        )


async def _chunks(exchange: Exchange) -> AsyncIterator[dict[str, JSONValue]]:
    """Yield each piece of the answer, up to OpenAI's mark of the end."""
    decoder = EventDecoder()
    is_whole = False  # OpenAI ends each whole answer with its mark
    async for piece in exchange.body():
        try:
            events = decoder.feed(piece)
        except ValueError:
            events = None
        if events is None:
            raise UpstreamAnswerUnusableError
        for event in events:
            if event == DONE:
                is_whole = True
                continue
            chunk = json_object(event)
            if chunk.get("error"):
                raise broken_off(exchange, event)
            yield chunk
    if not is_whole:
        raise UpstreamUnavailableError
