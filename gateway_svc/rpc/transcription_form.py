"""The multipart body of a transcription, written as the file comes. RFC 7578."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Final, TypeAlias

from gateway_svc.domain.http_request import check_header_value
from gateway_svc.domain.upstream_ports import StreamedBody
from gateway_svc.rpc.json_fields import EXTENSION
from gateway_svc.rpc.json_messages import to_object
from gateway_svc.rpc.json_values import JSONValue
from keyturn.gateway.v1 import audio_transcription_service_pb2 as transcription_pb
from svc_runtime.service_error import InvalidFieldError

RequestPart: TypeAlias = (
    transcription_pb.CreateTranscriptionRequest | transcription_pb.StreamTranscriptionRequest
)

_PARAMETERS: Final = "parameters"
_FILE: Final = "file"
_STREAM: Final = "stream"
# What says how the file is sent; not among OpenAI's parameters.
_OF_THE_FILE: Final = ("filename", "content_type", "size_bytes")
_DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
# Nothing that a server could read as the end of the name.
_FILENAME: Final = re.compile(r"[^\"\\\x00-\x1f\x7f]{1,255}")
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}(?:\[[A-Za-z0-9_.-]{0,64}\]){0,8}")
_BOUNDARY_BYTES: Final = 16
# How long the end of a file of unknown size is held back; see `_file`.
_CANCELLATION_SECONDS: Final = 0.1


class TranscriptionForm:
    """One request's body.

    Attributes:
        content_type: With the boundary, which nobody but OpenAI learns, so that no file can hold
            it.
        body: The body, as it comes.
    """

    def __init__(
        self,
        parameters: transcription_pb.TranscriptionParameters,
        parts: AsyncIterator[RequestPart],
        *,
        is_stream: bool,
    ) -> None:
        """Prepare the body.

        Args:
            parameters: How to transcribe.
            parts: The rest of the request's messages.
            is_stream: Whether OpenAI is to stream its answer.

        Raises:
            InvalidFieldError: A parameter cannot be a form's field.
        """
        boundary = secrets.token_hex(_BOUNDARY_BYTES)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = _head(parameters, boundary, is_stream=is_stream)
        tail = f"\r\n--{boundary}--\r\n".encode()
        size = parameters.size_bytes if parameters.HasField("size_bytes") else None
        length = None if size is None else len(head) + size + len(tail)
        self.body = StreamedBody(_pieces(head, _file(parts, size), tail), length)


async def parameters_of(
    parts: AsyncIterator[RequestPart],
) -> transcription_pb.TranscriptionParameters:
    """Return what the first of *parts* says.

    Raises:
        InvalidFieldError: There is none, or it carries no parameters.
    """
    async for part in parts:
        if part.WhichOneof("part") == _PARAMETERS:
            return part.parameters
        break
    raise InvalidFieldError(_PARAMETERS, "must be in the first message")


def _head(
    parameters: transcription_pb.TranscriptionParameters, boundary: str, *, is_stream: bool
) -> bytes:
    """Return what stands before the file. The model comes early: policy reads that far."""
    if not _FILENAME.fullmatch(parameters.filename):
        raise InvalidFieldError(
            "parameters.filename",
            "must have 1 to 255 characters, none of them quotation marks, backslashes or control "
            "characters",
        )
    content_type = check_header_value(
        parameters.content_type or _DEFAULT_CONTENT_TYPE, "parameters.content_type"
    )
    sent = transcription_pb.TranscriptionParameters()
    sent.CopyFrom(parameters)
    for name in _OF_THE_FILE:
        sent.ClearField(name)
    members = to_object(sent, _PARAMETERS, reserved={_FILE, _STREAM, *_OF_THE_FILE})
    if is_stream:
        members[_STREAM] = True
    fields = [
        pair
        for name, value in members.items()
        for pair in _fields(
            name, value, name if name in sent.DESCRIPTOR.fields_by_name else EXTENSION
        )
    ]
    heads = [(f'name="{name}"\r\n', text) for name, text in fields]
    of_the_file = f'name="{_FILE}"; filename="{parameters.filename}"\r\n'
    heads.append((f"{of_the_file}Content-Type: {content_type}\r\n", ""))
    return "\r\n".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n{text}" for head, text in heads
    ).encode()


def _fields(name: str, value: JSONValue, parameter: str) -> Iterator[tuple[str, str]]:
    """Yield the form's fields that *value* is, named as OpenAI's own SDKs name them."""
    if value in (None, [], {}) or not _FIELD_NAME.fullmatch(name):
        raise InvalidFieldError(
            f"{_PARAMETERS}.{parameter}",
            "must have plain names, and no null, empty list or empty object: a form has none",
        )
    if isinstance(value, dict):
        for member, item in value.items():
            yield from _fields(f"{name}[{member}]", item, parameter)
    elif isinstance(value, list):
        for item in value:
            yield from _fields(f"{name}[]", item, parameter)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


async def _pieces(head: bytes, file: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    async for piece in file:
        yield piece
    yield tail


async def _file(parts: AsyncIterator[RequestPart], size: int | None) -> AsyncIterator[bytes]:
    """Yield the file; refuse one that has not *size* bytes, or a second set of parameters."""
    received = 0
    async for part in parts:
        if part.WhichOneof("part") != "data":
            raise InvalidFieldError("data", "must be in each message after the first")
        received += len(part.data)
        if size is not None and received > size:
            break
        if part.data:
            yield part.data
    if size is None:
        # gRPC ends the messages of a call that was cancelled as if they were all, and cancels the
        # call right after. OpenAI must not take such a part of a file for the file.
        await asyncio.sleep(_CANCELLATION_SECONDS)
    elif received != size:
        raise InvalidFieldError("parameters.size_bytes", "must be the number of bytes of the data")
