"""An app calls OpenAI with a key it cannot see: the typed calls, whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct, Value

from keyturn.gateway.v1 import chat_completion_pb2 as chat_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn_cli.standin.standin_keys import KeyKind
from svc_runtime.error_details import metadata_of
from tests.e2e.asking import ask
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, new_request_id, parameters
from tests.e2e.evidence import upstream_requests
from tests.e2e.owners import OwnedKey, give_key


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "calls"))


async def _create(
    clients: Clients, key: OwnedKey, wanted: chat_service_pb.ChatCompletionParameters
) -> chat_pb.ChatCompletion:
    async with clients.gateway() as channel:
        response = await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat_service_pb.CreateChatCompletionRequest(parameters=wanted),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name),
        )
    clients.keep(response)
    return response.completion


async def _stream(
    clients: Clients,
    key: OwnedKey,
    wanted: chat_service_pb.ChatCompletionParameters,
    chunks: list[chat_pb.ChatCompletionChunk],
) -> None:
    """Append each piece to *chunks* as it comes."""
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=wanted),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name),
        )
        async for response in call:
            clients.keep(response)
            chunks.append(response.chunk)


def _options(**fields: Any) -> Struct:  # noqa: ANN401 - any JSON
    options = Struct()
    options.update(fields)
    return options


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


async def test_the_receipt_names_key_version_and_grant_before_and_after_a_stream(
    clients: Clients, key: OwnedKey
) -> None:
    request_id = new_request_id()
    async with clients.gateway() as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_service_pb.StreamChatCompletionRequest(parameters=parameters()),
            timeout=DEADLINE_SECONDS,
            metadata=metadata(key.name, request_id),
        )
        receipt = {k: str(v) for k, v in await call.initial_metadata()}
        clients.keep(*[response async for response in call])
        trailer = dict(await call.trailing_metadata())

    clients.keep(receipt, trailer)
    assert receipt["x-keyturn-key"] == key.name
    assert receipt["x-keyturn-key-version"] == "1"
    assert receipt["x-keyturn-grant"].startswith(f"{key.name}/grants/")
    assert receipt["x-keyturn-request-id"] == request_id
    assert {name: trailer[name] for name in receipt if name.startswith("x-keyturn-")} == {
        name: value for name, value in receipt.items() if name.startswith("x-keyturn-")
    }


async def test_the_pieces_of_a_stream_come_in_order_and_end_with_the_reason(
    clients: Clients, key: OwnedKey
) -> None:
    chunks: list[chat_pb.ChatCompletionChunk] = []
    await _stream(clients, key, parameters("one two three"), chunks)

    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert [piece for piece in pieces if piece] == ["You", " said:", " one", " two", " three"]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-2:] == [
        "",
        "stop",
    ]
    assert len({chunk.id for chunk in chunks}) == 1
    assert not any(chunk.HasField("usage") for chunk in chunks)


async def test_a_stream_that_asks_for_usage_gets_it_in_its_last_piece(
    clients: Clients, key: OwnedKey
) -> None:
    wanted = parameters("one two three")
    wanted.stream_options.update({"include_usage": True})
    chunks: list[chat_pb.ChatCompletionChunk] = []
    await _stream(clients, key, wanted, chunks)

    assert [chunk.HasField("usage") for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 5, 8)
    assert not chunks[-1].choices


async def test_tools_and_extensions_reach_openai_and_its_own_come_back(
    clients: Clients, key: OwnedKey
) -> None:
    # One entry in each object, because a Struct keeps no order and the bytes are compared.
    wanted = chat_service_pb.ChatCompletionParameters(
        model="gpt-4o-mini",
        messages=[
            chat_pb.ChatMessage(role="user", content="weather?", extension=_options(cache=True))
        ],
        temperature=0.5,
        max_completion_tokens=64,
        stop=["END"],
        tools=[_options(function={"name": "look_up"})],
        tool_choice=Value(string_value="required"),
        extension=_options(safety_identifier="team-7"),
    )
    sent = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "weather?", "cache": True}],
        "temperature": 0.5,
        "max_completion_tokens": 64,
        "stop": ["END"],
        "tools": [{"function": {"name": "look_up"}}],
        "tool_choice": "required",
        "safety_identifier": "team-7",
    }
    completion = await _create(clients, key, wanted)

    arrived = upstream_requests(clients, key.api_key)[-1]
    assert arrived.body_sha256 == hashlib.sha256(json.dumps(sent).encode()).hexdigest()
    (choice,) = completion.choices
    (tool_call,) = choice.message.tool_calls
    assert (tool_call.type, tool_call.function.name) == ("function", "look_up")
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.HasField("content")
    assert completion.extension["system_fingerprint"] == "fp_standin"
    assert "annotations" in choice.message.extension


@pytest.mark.parametrize(
    ("model", "code", "details"),
    [
        (
            "error-400",
            grpc.StatusCode.INVALID_ARGUMENT,
            {
                "http_status": "400",
                "type": "invalid_request_error",
                "code": "invalid_value",
                "param": "model",
            },
        ),
        (
            "error-429",
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            {"http_status": "429", "type": "requests", "code": "rate_limit_exceeded"},
        ),
        (
            "error-500",
            grpc.StatusCode.UNAVAILABLE,
            {"http_status": "500", "type": "server_error"},
        ),
        (
            "unknown-x",
            grpc.StatusCode.NOT_FOUND,
            {"http_status": "404", "code": "model_not_found"},
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
async def test_a_refusal_by_openai_keeps_its_meaning_and_its_details(
    clients: Clients,
    key: OwnedKey,
    model: str,
    code: grpc.StatusCode,
    details: dict[str, str],
    streamed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    wanted = parameters(model=model)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_stream(clients, key, wanted, []) if streamed else _create(clients, key, wanted))

    assert caught.value.code() is code
    assert clients.reason(caught.value) == "UPSTREAM_REFUSED"
    told = metadata_of(caught.value)
    assert {name: told.get(name) for name in details} == details
    assert told["openai_request_id"].startswith("req_")
    assert told["message"]


async def test_what_looks_like_a_key_is_cut_out_of_openais_error(
    clients: Clients, key: OwnedKey
) -> None:
    # The stand-in repeats the model's name in its error, as OpenAI does with parts of a key.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _create(clients, key, parameters(model="unknown-sk-proj-abcd1234"))

    clients.keep(caught.value)
    assert metadata_of(caught.value)["message"].startswith("The model `unknown-[key]` does not")


@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
async def test_a_key_that_openai_refuses_is_said_to_be_refused_and_not_echoed(
    clients: Clients,
    streamed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    revoked = await give_key(clients, "revoked", KeyKind.SOONREVOKED)
    call = _stream(clients, revoked, parameters(), []) if streamed else None
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call or _create(clients, revoked, parameters()))

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert clients.reason(caught.value) == "KEY_REJECTED_UPSTREAM"
    assert len(upstream_requests(clients, revoked.api_key)) == 1
    raw_key = revoked.api_key.expose().decode()
    told = f"{caught.value.details()}{caught.value.trailing_metadata()}{metadata_of(caught.value)}"
    assert raw_key[:8] not in told
    assert raw_key[-4:] not in told


async def test_a_stream_that_openai_cuts_off_ends_in_an_error(
    clients: Clients, key: OwnedKey
) -> None:
    chunks: list[chat_pb.ChatCompletionChunk] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _stream(clients, key, parameters("one two three", model="gpt-4o-cut"), chunks)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert clients.reason(caught.value) == "UPSTREAM_UNAVAILABLE"
    assert not any(choice.finish_reason for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"models": ["gpt-4o", "o4-*"]}, "MODEL_NOT_GRANTED"),
        ({"endpoints": ["embeddings"]}, "ENDPOINT_NOT_GRANTED"),
        ({"source_cidrs": ["192.0.2.0/24"]}, "SOURCE_NOT_GRANTED"),
        ({"app": "spiffe://keyturn.local/app/somebody-else"}, "NOT_GRANTED"),
    ],
)
async def test_a_call_outside_of_the_grant_is_refused_and_says_which_limit(
    clients: Clients, terms: dict[str, Any], reason: str
) -> None:
    limited = await give_key(clients, "limited", **terms)

    assert await ask(clients, limited.name) == reason
    assert upstream_requests(clients, limited.api_key) == []
