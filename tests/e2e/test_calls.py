"""An app calls OpenAI with a key it cannot see: every surface, once, whole."""

from __future__ import annotations

import hashlib
import json

import pytest
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.pass_through_service_pb2_grpc import PassThroughServiceStub

from svc_runtime.secret_bytes import SecretBytes
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters


async def test_a_unary_call_returns_the_answer_its_usage_and_its_receipt(clients: Clients) -> None:
    request_id = new_request_id()
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=parameters("hello there")),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(request_id=request_id),
        )
        response = await call
        receipt = dict(await call.initial_metadata())
        trailer = dict(await call.trailing_metadata())

    clients.keep(response, receipt, trailer)
    assert response.completion.choices[0].message.content == "You said: hello there"
    assert response.completion.usage.total_tokens > 0
    assert receipt["x-keyturn-key"] == "users/alice/keys/standin"
    assert receipt["x-keyturn-request-id"] == request_id
    assert receipt["x-keyturn-lease"] == trailer["x-keyturn-lease"]
