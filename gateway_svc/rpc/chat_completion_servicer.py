"""Serves ChatCompletionService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.rpc.json_messages import fill, to_object
from gateway_svc.rpc.typed_calls import TypedCalls
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceServicer
from svc_runtime.authentication import ServicerContext

_ENDPOINT: Final = Endpoint.parse("chat/completions")
_STREAM: Final = "stream"


class ChatCompletionServicer(ChatCompletionServiceServicer):
    """ChatCompletionService over `Relay`."""

    def __init__(self, calls: TypedCalls) -> None:
        self._calls = calls

    async def CreateChatCompletion(
        self,
        request: chat_service_pb.CreateChatCompletionRequest,
        context: ServicerContext,
    ) -> chat_service_pb.CreateChatCompletionResponse:
        """Return one whole answer."""
        body = to_object(request.parameters, "parameters", reserved={_STREAM})
        response = chat_service_pb.CreateChatCompletionResponse()
        await self._calls.answer(context, response.completion, _ENDPOINT, body)
        return response

    async def StreamChatCompletion(
        self,
        request: chat_service_pb.StreamChatCompletionRequest,
        context: ServicerContext,
    ) -> AsyncIterator[chat_service_pb.StreamChatCompletionResponse]:
        """Return the answer piece by piece."""
        body = to_object(request.parameters, "parameters", reserved={_STREAM})
        body[_STREAM] = True
        # OpenAI ends each whole answer with its mark, so no event is an ending.
        chunks = self._calls.events(context, _ENDPOINT, body, frozenset())
        async with aclosing(chunks):
            async for chunk in chunks:
                response = chat_service_pb.StreamChatCompletionResponse()
                fill(response.chunk, chunk)
                yield response
