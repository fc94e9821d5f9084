"""A call of every RPC of the typed services, and how an app makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from keyturn.gateway.v1 import audio_transcription_service_pb2 as transcription_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_service_pb
from keyturn.gateway.v1 import embedding_service_pb2 as embedding_pb
from keyturn.gateway.v1 import model_service_pb2 as model_pb
from keyturn.gateway.v1 import moderation_service_pb2 as moderation_pb
from keyturn.gateway.v1 import response_pb2 as response_pb
from keyturn.gateway.v1 import response_service_pb2 as response_service_pb
from keyturn.gateway.v1.audio_transcription_service_pb2_grpc import AudioTranscriptionServiceStub
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub
from keyturn.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from keyturn.gateway.v1.model_service_pb2_grpc import ModelServiceStub
from keyturn.gateway.v1.moderation_service_pb2_grpc import ModerationServiceStub
from keyturn.gateway.v1.response_service_pb2_grpc import ResponseServiceStub
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata, parameters
from tests.e2e.evidence import UpstreamRequest, upstream_requests
from tests.e2e.owners import OwnedKey

_STUBS: dict[Any, Any] = {
    chat_service_pb.DESCRIPTOR: ChatCompletionServiceStub,
    embedding_pb.DESCRIPTOR: EmbeddingServiceStub,
    model_pb.DESCRIPTOR: ModelServiceStub,
    moderation_pb.DESCRIPTOR: ModerationServiceStub,
    response_service_pb.DESCRIPTOR: ResponseServiceStub,
    transcription_pb.DESCRIPTOR: AudioTranscriptionServiceStub,
}
RPCS = {
    method.name: (method, stub)
    for file, stub in _STUBS.items()
    for service in file.services_by_name.values()
    for method in service.methods
}
STREAMED = sorted(name for name, (method, _) in RPCS.items() if method.server_streaming)
SOUND = bytes(range(256)) * 300
_OWN_ERROR = "Internal error from Core"
_MOST_OWN_ERRORS = 5


@dataclass(frozen=True)
class Case:
    """A call, the JSON that OpenAI is to get of it, and the tokens that it then reports."""

    request: Message
    path: str
    sent: dict[str, Any] | None = None
    method: str = "POST"
    tokens: tuple[str, str] | None = None


def struct_of(**fields: Any) -> Struct:  # noqa: ANN401 - any JSON
    """Return *fields* as the members of a JSON object."""
    struct = Struct()
    struct.update(fields)
    return struct


def _chat(**fields: Any) -> chat_service_pb.ChatCompletionParameters:  # noqa: ANN401 - any field
    wanted = parameters("one two three")
    wanted.MergeFrom(
        chat_service_pb.ChatCompletionParameters(extension=struct_of(user="u"), **fields)
    )
    return wanted


_CHAT_SENT = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "one two three"}],
}
_TEXT_PART = response_pb.ResponseContentPart(
    type="input_text", text="one two", extension=struct_of(note=True)
)
_RESPONSE = response_service_pb.ResponseParameters(
    model="gpt-4o-mini",
    input_items=response_service_pb.ResponseInputItems(
        items=[
            response_pb.ResponseItem(
                role="user", content_parts=response_pb.ResponseContentParts(parts=[_TEXT_PART])
            )
        ]
    ),
    max_output_tokens=64,
    store=False,
    metadata={"team": "7"},
    extension=struct_of(safety_identifier="u"),
)
_RESPONSE_SENT = {
    "model": "gpt-4o-mini",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "one two", "note": True}],
        }
    ],
    "max_output_tokens": 64,
    "store": False,
    "metadata": {"team": "7"},
    "safety_identifier": "u",
}
EMBEDDING = embedding_pb.EmbeddingParameters(
    model="text-embedding-3-small",
    input_texts=embedding_pb.EmbeddingTexts(texts=["a b", "c"]),
    dimensions=3,
    extension=struct_of(safety_identifier="u"),
)
_MODERATION = moderation_pb.ModerationParameters(
    model="omni-moderation-latest",
    input_texts=moderation_pb.ModerationTexts(texts=["a", "b"]),
    extension=struct_of(safety_identifier="u"),
)

CASES = {
    "CreateChatCompletion": Case(
        chat_service_pb.CreateChatCompletionRequest(parameters=_chat()),
        "chat/completions",
        {**_CHAT_SENT, "user": "u"},
        tokens=("3", "5"),
    ),
    "StreamChatCompletion": Case(
        chat_service_pb.StreamChatCompletionRequest(
            parameters=_chat(stream_options=struct_of(include_usage=True))
        ),
        "chat/completions",
        {**_CHAT_SENT, "stream_options": {"include_usage": True}, "user": "u", "stream": True},
        tokens=("3", "5"),
    ),
    "CreateResponse": Case(
        response_service_pb.CreateResponseRequest(parameters=_RESPONSE),
        "responses",
        _RESPONSE_SENT,
        tokens=("2", "4"),
    ),
    "StreamResponse": Case(
        response_service_pb.StreamResponseRequest(parameters=_RESPONSE),
        "responses",
        {**_RESPONSE_SENT, "stream": True},
        tokens=("2", "4"),
    ),
    "CreateEmbeddings": Case(
        embedding_pb.CreateEmbeddingsRequest(parameters=EMBEDDING),
        "embeddings",
        {
            "model": "text-embedding-3-small",
            "input": ["a b", "c"],
            "dimensions": 3,
            "safety_identifier": "u",
        },
        tokens=("3", "0"),
    ),
    "CreateModeration": Case(
        moderation_pb.CreateModerationRequest(parameters=_MODERATION),
        "moderations",
        {"model": "omni-moderation-latest", "input": ["a", "b"], "safety_identifier": "u"},
    ),
    "ListModels": Case(model_pb.ListModelsRequest(), "models", method="GET"),
    "GetModel": Case(model_pb.GetModelRequest(model="gpt-4o"), "models/gpt-4o", method="GET"),
    "DeleteModel": Case(
        model_pb.DeleteModelRequest(model="ft:gpt-4o:team::7"),
        "models/ft:gpt-4o:team::7",
        method="DELETE",
    ),
}
"""A call of each RPC that is neither in `KEPT` nor in `TRANSCRIPTIONS`."""
KEPT = {
    "GetResponse": response_service_pb.GetResponseRequest(response_id="resp_1"),
    "CancelResponse": response_service_pb.CancelResponseRequest(response_id="resp_1"),
    "DeleteResponse": response_service_pb.DeleteResponseRequest(response_id="resp_1"),
}
"""A call of each RPC of kept responses; OpenAI keeps none of that id."""
TRANSCRIPTIONS: dict[str, Any] = {
    "CreateTranscription": transcription_pb.CreateTranscriptionRequest,
    "StreamTranscription": transcription_pb.StreamTranscriptionRequest,
}
"""The messages of the RPCs that take a file; `transcription_messages` makes a call of them."""


@dataclass(frozen=True)
class Answered:
    """What came back; *receipt* is of the trailing metadata."""

    responses: list[Any]
    receipt: dict[str, str]


def start_call(channel: grpc.aio.Channel, key: OwnedKey, rpc: str, *requests: Message) -> Any:  # noqa: ANN401 - the call of any RPC
    """Send *requests* with *key*; return the call, for the caller to read or to cancel."""
    method, stub = RPCS[rpc]
    return getattr(stub(channel), rpc)(
        iter(requests) if method.client_streaming else requests[0],
        timeout=DEADLINE_SECONDS,
        metadata=metadata(key.name),
    )


async def call_rpc(clients: Clients, key: OwnedKey, rpc: str, *requests: Message) -> Answered:
    """Make one call with *key*, and put what comes back into the transcript.

    A call that is refused while grpc.aio still sends its messages may end with an error of
    grpc.aio's own, whatever it was refused for: such a call is made again.
    """
    for _ in range(_MOST_OWN_ERRORS):
        try:
            return await _call_once(clients, key, rpc, *requests)
        except grpc.aio.AioRpcError as error:
            if error.details() != _OWN_ERROR:
                raise
    return await _call_once(clients, key, rpc, *requests)


async def _call_once(clients: Clients, key: OwnedKey, rpc: str, *requests: Message) -> Answered:
    async with clients.gateway() as channel:
        call = start_call(channel, key, rpc, *requests)
        try:
            many = rpc in STREAMED
            responses = [response async for response in call] if many else [await call]
        except grpc.aio.AioRpcError as error:
            clients.keep(error)
            raise
        first, last = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
    clients.keep(*responses, first, last)
    assert first["x-keyturn-key"] == key.name
    receipt = {name: value for name, value in first.items() if name.startswith("x-keyturn-")}
    assert receipt.items() <= last.items()
    return Answered(responses, last)


def last_arrived(clients: Clients, key: OwnedKey) -> UpstreamRequest:
    """Return the request with *key* that OpenAI got last."""
    return upstream_requests(clients, key.api_key)[-1]


def transcription_messages(
    rpc: str,
    model: str | None = None,
    **fields: Any,  # noqa: ANN401 - any field
) -> list[Message]:
    """Return the messages of a call that sends `SOUND` in pieces."""
    request = TRANSCRIPTIONS[rpc]
    wanted = transcription_pb.TranscriptionParameters(
        model=model or "gpt-4o-transcribe", filename="grüße.wav", content_type="audio/wav", **fields
    )
    pieces = [SOUND[:1], SOUND[1:40_000], b"", SOUND[40_000:]]
    return [request(parameters=wanted), *(request(data=piece) for piece in pieces)]


def messages_of(rpc: str, model: str | None = None) -> list[Message]:
    """Return a call's messages, which ask for *model* if one is given."""
    if rpc in TRANSCRIPTIONS:
        return transcription_messages(rpc, model)
    request = KEPT[rpc] if rpc in KEPT else CASES[rpc].request
    copy: Any = type(request)()
    copy.CopyFrom(request)
    if model:
        copy.parameters.model = model
    return [copy]
