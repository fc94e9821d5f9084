"""The typed services: what a call sends to OpenAI, and what it returns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1 import embedding_service_pb2 as embedding_pb
from keyturn.gateway.v1 import response_service_pb2 as response_service_pb
from tests.e2e.clients import Clients
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.typed_calls import (
    CASES,
    EMBEDDING,
    KEPT,
    RPCS,
    TRANSCRIPTIONS,
    call_rpc,
    last_arrived,
)


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "typed"))


@pytest.mark.parametrize("rpc", CASES)
async def test_a_call_reaches_openai_as_it_was_asked_and_returns_receipt_and_tokens(
    clients: Clients, key: OwnedKey, rpc: str
) -> None:
    case = CASES[rpc]
    answered = await call_rpc(clients, key, rpc, case.request)

    arrived = last_arrived(clients, key)
    body = b"" if case.sent is None else json.dumps(case.sent).encode()
    assert (arrived.method, arrived.path) == (case.method, f"/v1/{case.path}")
    assert arrived.body_sha256 == hashlib.sha256(body).hexdigest()
    tokens = [answered.receipt.get(f"x-keyturn-{name}-tokens") for name in ("input", "output")]
    assert tokens == list(case.tokens or (None, None))


def test_every_rpc_of_the_typed_services_is_called() -> None:
    assert set(RPCS) == {*CASES, *KEPT, *TRANSCRIPTIONS}


async def test_chat_answers_are_typed_and_carry_what_has_no_field(
    clients: Clients, key: OwnedKey
) -> None:
    unary = await call_rpc(
        clients, key, "CreateChatCompletion", CASES["CreateChatCompletion"].request
    )
    stream = await call_rpc(
        clients, key, "StreamChatCompletion", CASES["StreamChatCompletion"].request
    )

    completion = unary.responses[0].completion
    assert completion.choices[0].message.content == "You said: one two three"
    assert completion.extension["system_fingerprint"] == "fp_standin"
    chunks = [response.chunk for response in stream.responses]
    deltas = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert "".join(deltas) == "You said: one two three"
    assert chunks[-1].usage.total_tokens == 8
    assert chunks[0].extension["system_fingerprint"] == "fp_standin"


async def test_a_response_is_typed_and_carries_what_has_no_field(
    clients: Clients, key: OwnedKey
) -> None:
    answered = await call_rpc(clients, key, "CreateResponse", CASES["CreateResponse"].request)

    response = answered.responses[0].response
    assert (response.status, response.model) == ("completed", "gpt-4o-mini")
    (item,) = response.output
    (part,) = item.content_parts.parts
    assert (item.type, item.role) == ("message", "assistant")
    assert (part.type, part.text) == ("output_text", "You said: one two")
    assert response.usage.total_tokens == 6
    assert response.usage.output_tokens_details["reasoning_tokens"] == 0
    assert not response.HasField("error")
    assert response.extension["truncation"] == "disabled"
    assert response.extension["error"] is None


async def test_a_streamed_response_comes_in_typed_events_up_to_its_end(
    clients: Clients, key: OwnedKey
) -> None:
    answered = await call_rpc(clients, key, "StreamResponse", CASES["StreamResponse"].request)

    events = [response.event for response in answered.responses]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events) == "You said: one two"
    assert [event.text for event in events if event.HasField("text")] == ["You said: one two"]
    assert events[-1].response.output[0].content_parts.parts[0].text == "You said: one two"
    delta = next(event for event in events if event.HasField("delta"))
    assert (delta.output_index, delta.HasField("content_index")) == (0, True)
    assert set(delta.extension) == {"logprobs"}


async def test_a_kept_response_is_fetched_cancelled_and_deleted(
    clients: Clients, key: OwnedKey
) -> None:
    wanted = response_service_pb.ResponseParameters(model="gpt-4o-mini", input="hello")
    request = response_service_pb.CreateResponseRequest(parameters=wanted)
    created = (await call_rpc(clients, key, "CreateResponse", request)).responses[0].response
    before = len(upstream_requests(clients, key.api_key))
    get = response_service_pb.GetResponseRequest(
        response_id=created.id, include=["reasoning.encrypted_content", "a&b"]
    )
    cancel = response_service_pb.CancelResponseRequest(response_id=created.id)
    delete = response_service_pb.DeleteResponseRequest(response_id=created.id)

    got = await call_rpc(clients, key, "GetResponse", get)
    cancelled = await call_rpc(clients, key, "CancelResponse", cancel)
    deleted = await call_rpc(clients, key, "DeleteResponse", delete)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_rpc(clients, key, "GetResponse", get)

    assert got.responses[0].response == created
    assert "x-keyturn-input-tokens" not in got.receipt
    assert cancelled.responses[0].response == created
    assert (deleted.responses[0].deleted.id, deleted.responses[0].deleted.deleted) == (
        created.id,
        True,
    )
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    path = f"/v1/responses/{created.id}"
    query = "include%5B%5D=reasoning.encrypted_content&include%5B%5D=a%26b"
    arrived = upstream_requests(clients, key.api_key)[before:]
    nothing = hashlib.sha256(b"").hexdigest()
    assert [(one.method, one.path, one.body_sha256) for one in arrived] == [
        ("GET", f"{path}?{query}", nothing),
        ("POST", f"{path}/cancel", nothing),
        ("DELETE", path, nothing),
        ("GET", f"{path}?{query}", nothing),
    ]


async def test_an_embedding_comes_as_numbers_or_as_bytes_with_the_same_numbers(
    clients: Clients, key: OwnedKey
) -> None:
    wanted = embedding_pb.EmbeddingParameters()
    wanted.CopyFrom(EMBEDDING)
    wanted.encoding_format = "base64"
    request = embedding_pb.CreateEmbeddingsRequest(parameters=wanted)
    numbers = await call_rpc(clients, key, "CreateEmbeddings", CASES["CreateEmbeddings"].request)
    in_bytes = await call_rpc(clients, key, "CreateEmbeddings", request)

    data = numbers.responses[0].embeddings.data
    assert [one.index for one in data] == [0, 1]
    vectors = [list(one.embedding_numbers.numbers) for one in data]
    assert [
        list(struct.unpack("<3f", one.embedding_bytes))
        for one in in_bytes.responses[0].embeddings.data
    ] == vectors
    assert vectors[0] != vectors[1]
    assert numbers.responses[0].embeddings.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"input": "a b"}, "a b"),
        ({"input_tokens": embedding_pb.EmbeddingTokens(tokens=[5, 7])}, [5, 7]),
        (
            {
                "input_lists": embedding_pb.EmbeddingTokenLists(
                    lists=[embedding_pb.EmbeddingTokens(tokens=ids) for ids in ([5, 7], [1])]
                )
            },
            [[5, 7], [1]],
        ),
    ],
    ids=["text", "tokens", "lists"],
)
async def test_each_form_of_input_is_the_one_member_input(
    clients: Clients, key: OwnedKey, fields: dict[str, Any], sent: object
) -> None:
    wanted = embedding_pb.EmbeddingParameters(model="text-embedding-3-small", **fields)
    await call_rpc(
        clients, key, "CreateEmbeddings", embedding_pb.CreateEmbeddingsRequest(parameters=wanted)
    )

    body = json.dumps({"model": "text-embedding-3-small", "input": sent}).encode()
    assert last_arrived(clients, key).body_sha256 == hashlib.sha256(body).hexdigest()


async def test_a_moderation_tells_flags_and_scores_by_category(
    clients: Clients, key: OwnedKey
) -> None:
    answered = await call_rpc(clients, key, "CreateModeration", CASES["CreateModeration"].request)

    results = answered.responses[0].moderation.results
    assert [result.flagged for result in results] == [False, False]
    assert results[0].categories["self-harm/intent"] is False
    assert results[0].category_scores["violence"] == 0.0
    assert "self-harm/intent" in results[0].categories
    assert list(results[0].category_applied_input_types["hate"]) == ["text"]


async def test_models_are_listed_described_and_deleted(clients: Clients, key: OwnedKey) -> None:
    listed = await call_rpc(clients, key, "ListModels", CASES["ListModels"].request)
    got = await call_rpc(clients, key, "GetModel", CASES["GetModel"].request)
    deleted = await call_rpc(clients, key, "DeleteModel", CASES["DeleteModel"].request)

    models = listed.responses[0].models
    assert {"gpt-4o", "gpt-4o-mini"} <= {model.id for model in models.data}
    assert models.extension["object"] == "list"
    model = got.responses[0].model
    assert (model.id, model.owned_by) == ("gpt-4o", "system")
    assert model.created > 0
    assert deleted.responses[0].deleted.deleted
    assert deleted.responses[0].deleted.id == "ft:gpt-4o:team::7"
