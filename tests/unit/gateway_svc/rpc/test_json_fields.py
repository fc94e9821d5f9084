from __future__ import annotations

import math

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway_svc.rpc.json_fields import (
    fields_by_member,
    is_map,
    items_of,
    json_of,
    map_value,
    member_of,
    scalar_fitting,
)
from gateway_svc.rpc.json_values import JSONValue
from keyturn.gateway.v1 import (
    audio_transcription_service_pb2,
    chat_completion_pb2,
    chat_completion_service_pb2,
    embedding_service_pb2,
    model_service_pb2,
    moderation_service_pb2,
    response_pb2,
    response_service_pb2,
)
from keyturn.gateway.v1.audio_transcription_service_pb2 import TranscriptionParameters
from keyturn.gateway.v1.chat_completion_pb2 import ChatMessage, ContentParts, ToolCall
from keyturn.gateway.v1.chat_completion_service_pb2 import ChatCompletionParameters
from keyturn.gateway.v1.embedding_service_pb2 import (
    Embedding,
    EmbeddingList,
    EmbeddingParameters,
    EmbeddingTokenLists,
)
from keyturn.gateway.v1.moderation_service_pb2 import ModerationResult
from keyturn.gateway.v1.response_pb2 import Response, ResponseItem

FILES = (
    audio_transcription_service_pb2,
    chat_completion_pb2,
    chat_completion_service_pb2,
    embedding_service_pb2,
    model_service_pb2,
    moderation_service_pb2,
    response_pb2,
    response_service_pb2,
)
WITH_EXTENSION = [
    message
    for file in FILES
    for message in file.DESCRIPTOR.message_types_by_name.values()
    if "extension" in message.fields_by_name
]


def _members(descriptor: Descriptor) -> dict[str, list[str]]:
    return {
        member: [field.name for field in fields]
        for member, fields in fields_by_member(descriptor).items()
    }


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor:
    return descriptor.fields_by_name[name]


def test_each_form_of_a_member_is_a_field_of_it() -> None:
    assert _members(EmbeddingParameters.DESCRIPTOR)["input"] == [
        "input",
        "input_texts",
        "input_tokens",
        "input_lists",
    ]
    assert _members(ChatMessage.DESCRIPTOR)["content"] == ["content", "content_parts"]
    assert _members(Embedding.DESCRIPTOR)["embedding"] == ["embedding_numbers", "embedding_bytes"]


def test_the_extension_stands_for_no_member() -> None:
    assert "extension" not in _members(Response.DESCRIPTOR)


@pytest.mark.parametrize("message", WITH_EXTENSION, ids=lambda message: message.name)
def test_no_two_members_of_a_message_share_a_field_and_several_forms_exclude_each_other(
    message: Descriptor,
) -> None:
    by_member = fields_by_member(message)

    fields = [field.name for fields in by_member.values() for field in fields]
    assert sorted([*fields, "extension"]) == sorted(message.fields_by_name)
    for forms in by_member.values():
        oneofs = {form.containing_oneof.name if form.containing_oneof else None for form in forms}
        assert len(forms) == 1 or (len(oneofs) == 1 and None not in oneofs)


@pytest.mark.parametrize(
    ("descriptor", "field", "member"),
    [
        (ChatMessage.DESCRIPTOR, "content_parts", "content"),
        (ChatMessage.DESCRIPTOR, "tool_calls", "tool_calls"),
        (ResponseItem.DESCRIPTOR, "output", "output"),
        (Embedding.DESCRIPTOR, "embedding_bytes", "embedding"),
        (TranscriptionParameters.DESCRIPTOR, "size_bytes", "size_bytes"),
        (Response.DESCRIPTOR, "metadata", "metadata"),
    ],
)
def test_a_field_bears_the_name_of_its_member_but_for_its_form(
    descriptor: Descriptor, field: str, member: str
) -> None:
    assert member_of(_field(descriptor, field)) == member


def test_a_message_of_one_repeated_field_stands_for_a_list() -> None:
    parts = items_of(ContentParts.DESCRIPTOR)
    lists = items_of(EmbeddingTokenLists.DESCRIPTOR)

    assert parts is not None
    assert parts.name == "parts"
    assert lists is not None
    assert lists.name == "lists"


@pytest.mark.parametrize(
    "descriptor", [None, ChatMessage.DESCRIPTOR, EmbeddingList.DESCRIPTOR, ToolCall.DESCRIPTOR]
)
def test_any_other_message_stands_for_no_list(descriptor: Descriptor | None) -> None:
    assert items_of(descriptor) is None


def test_a_map_is_told_from_a_list_of_messages() -> None:
    scores = _field(ModerationResult.DESCRIPTOR, "category_scores")

    assert is_map(scores)
    assert map_value(scores).type == FieldDescriptor.TYPE_DOUBLE
    assert not is_map(_field(ChatMessage.DESCRIPTOR, "tool_calls"))
    assert not is_map(_field(ChatMessage.DESCRIPTOR, "role"))


TEXT = _field(Response.DESCRIPTOR, "id")
FLAG = _field(ModerationResult.DESCRIPTOR, "flagged")
INT64 = _field(Response.DESCRIPTOR, "created_at")
INT32 = _field(ChatCompletionParameters.DESCRIPTOR, "seed")
UINT32 = _field(ChatCompletionParameters.DESCRIPTOR, "n")
UINT64 = _field(TranscriptionParameters.DESCRIPTOR, "size_bytes")
DOUBLE = _field(ChatCompletionParameters.DESCRIPTOR, "temperature")
BYTES = _field(Embedding.DESCRIPTOR, "embedding_bytes")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (TEXT, ""),
        (TEXT, "AAAA"),
        (FLAG, False),
        (INT32, -(2**31)),
        (INT32, 2**31 - 1),
        (UINT32, 0),
        (UINT32, 2**32 - 1),
        (INT64, -(2**63)),
        (INT64, 2**63 - 1),
        (UINT64, 2**64 - 1),
        (DOUBLE, 0.1),
        (DOUBLE, 2**53),
        (DOUBLE, -1e308),
    ],
)
def test_a_scalar_that_fits_stays_as_it_is(field: FieldDescriptor, value: JSONValue) -> None:
    assert scalar_fitting(field, value) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (TEXT, 1),
        (TEXT, True),
        (TEXT, None),
        (TEXT, ["a"]),
        (FLAG, 1),
        (FLAG, "true"),
        (INT32, 2**31),
        (INT32, True),
        (INT32, 1.0),
        (INT32, "1"),
        (UINT32, -1),
        (UINT32, 2**32),
        (INT64, 2**63),
        (UINT64, 2**64),
        (DOUBLE, 2**53 + 1),
        (DOUBLE, 10**400),
        (DOUBLE, math.inf),
        (DOUBLE, math.nan),
        (DOUBLE, False),
        (DOUBLE, {}),
    ],
    ids=str,
)
def test_a_scalar_that_would_change_does_not_fit(field: FieldDescriptor, value: JSONValue) -> None:
    assert scalar_fitting(field, value) is None


@pytest.mark.parametrize(
    ("text", "decoded"), [("", b""), ("AP8=", b"\x00\xff"), ("+/+/", b"\xfb\xff\xbf")]
)
def test_bytes_are_a_string_in_base64_each_way(text: str, decoded: bytes) -> None:
    assert scalar_fitting(BYTES, text) == decoded
    assert json_of(decoded) == text


@pytest.mark.parametrize("text", ["AP8", "AP9=", "-_-_", "AP8=\n", "é", "A"])
def test_a_string_that_base64_would_write_in_another_way_is_no_bytes(text: str) -> None:
    assert scalar_fitting(BYTES, text) is None


@pytest.mark.parametrize("value", [True, 7, 0.5, "text"])
def test_any_other_scalar_is_its_own_json(value: bool | float | str) -> None:  # noqa: FBT001 - a parameter of the test
    assert json_of(value) is value
