"""Messages of the gateway's gRPC API, filled with what nobody would send."""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory, struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from keyturn.gateway.v1 import audio_transcription_service_pb2 as transcription_pb
from keyturn.gateway.v1 import chat_completion_service_pb2 as chat_pb
from keyturn.gateway.v1 import embedding_service_pb2 as embedding_pb
from keyturn.gateway.v1 import model_service_pb2 as model_pb
from keyturn.gateway.v1 import moderation_service_pb2 as moderation_pb
from keyturn.gateway.v1 import pass_through_service_pb2 as pass_pb
from keyturn.gateway.v1 import response_service_pb2 as response_pb

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in (
        transcription_pb,
        chat_pb,
        embedding_pb,
        model_pb,
        moderation_pb,
        pass_pb,
        response_pb,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every RPC, by the path under which it is called."""

_MAX_DEPTH = 4
_GOOD = {"model": "gpt-4o-mini", "role": "user", "method": "POST", "path": "chat/completions"}
_FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.5, float("nan")])
_TEXTS = st.one_of(
    st.sampled_from(["gpt-4o-mini", "user", "GET", "POST", "models", "chat/completions", "hello"]),
    st.sampled_from(["file.wav", "audio/wav", "text", "auto", "json", "accept", "content-type"]),
    st.sampled_from(["", "../x", "a\0b", "a\r\nb", "\u00e9", "%2e%2e", "a" * 300, "\U0010ffff"]),
    st.text(max_size=10),
)
_BYTES = st.one_of(
    st.sampled_from(
        [b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}', b"{}"]
    ),
    st.binary(max_size=50),
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _FLOATS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: _FLOATS,
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 9),
}


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> Message:
    """Draw a message with some of its fields set, well enough to get past the first check."""
    message = message_factory.GetMessageClass(descriptor)()
    if isinstance(message, struct_pb2.Struct):
        message.update(draw(st.dictionaries(_TEXTS, _JSON, max_size=4)))
        return message
    if isinstance(message, struct_pb2.Value):
        struct = struct_pb2.Struct()
        struct.update({"value": draw(_JSON)})
        return struct.fields["value"]
    for member in descriptor.fields:
        if depth == 0:
            _set(draw, message, member, depth)
        elif member.name in _GOOD and member.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            setattr(message, member.name, _GOOD[member.name])
        elif depth < _MAX_DEPTH and draw(st.integers(0, 4)) == 0:
            _set(draw, message, member, depth)
    if depth == 1 and draw(st.booleans()) and descriptor.fields:
        _set(draw, message, draw(st.sampled_from(list(descriptor.fields))), depth)
    return message


def _set(draw: st.DrawFn, message: Message, member: FieldDescriptor, depth: int) -> None:
    values: st.SearchStrategy[Any]
    if member.message_type is not None and member.message_type.GetOptions().map_entry:
        getattr(message, member.name).update(draw(st.dictionaries(_TEXTS, _TEXTS, max_size=3)))
        return
    if member.message_type is not None:
        values = messages(member.message_type, depth + 1)
    elif member.type == FieldDescriptor.TYPE_BYTES:
        values = _BYTES
    else:
        values = _SCALARS[member.cpp_type]
    if member.is_repeated:
        getattr(message, member.name).extend(draw(st.lists(values, max_size=2)))
    elif member.message_type is not None:
        getattr(message, member.name).CopyFrom(draw(values))
    else:
        setattr(message, member.name, draw(values))


def nested(depth: int) -> bytes:
    """Return a `google.protobuf.Struct` whose one member is a list in a list, *depth* times."""
    value = b""
    for _ in range(depth):
        value = field(6, field(1, value))  # Value.list_value, ListValue.values
    return field(1, field(1, b"a") + field(2, value))


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field as it goes over the wire."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded, number = encoded + bytes((number & 0x7F | 0x80,)), number >> 7
    return encoded + bytes((number,))
