from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import Message as Part
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from gateway_svc.rpc.transcription_form import RequestPart, TranscriptionForm, parameters_of
from keyturn.gateway.v1.audio_transcription_service_pb2 import (
    CreateTranscriptionRequest,
    StreamTranscriptionRequest,
    TranscriptionParameters,
)
from svc_runtime.service_error import InvalidFieldError


def _options(**fields: Any) -> Struct:  # noqa: ANN401 - any JSON
    options = Struct()
    options.update(fields)
    return options


def _parameters(**fields: Any) -> TranscriptionParameters:  # noqa: ANN401 - any field
    return TranscriptionParameters(**{"model": "whisper-1", "filename": "a.wav", **fields})


async def _parts(*parts: RequestPart) -> AsyncIterator[RequestPart]:
    for part in parts:
        yield part


def _form(
    parameters: TranscriptionParameters, *parts: RequestPart, is_stream: bool = False
) -> TranscriptionForm:
    return TranscriptionForm(parameters, _parts(*parts), is_stream=is_stream)


async def _body(form: TranscriptionForm) -> bytes:
    return b"".join([piece async for piece in form.body.pieces])


async def _fields(form: TranscriptionForm) -> list[tuple[str, str]]:
    """Return each field of the form, by another reader of MIME than the project's."""
    raw = b"Content-Type: " + form.content_type.encode() + b"\r\n\r\n" + await _body(form)
    parts: Any = message_from_bytes(raw).get_payload()
    return [(_name(part), part.get_payload(decode=True).decode()) for part in parts]


def _name(part: Part) -> str:
    return str(part.get_param("name", header="content-disposition"))


def _data(*pieces: bytes) -> list[RequestPart]:
    return [CreateTranscriptionRequest(data=piece) for piece in pieces]


async def _refused_field(form: TranscriptionForm) -> str:
    with pytest.raises(InvalidFieldError) as caught:
        await _body(form)
    return caught.value.field


def _refused_parameter(parameters: TranscriptionParameters) -> str:
    with pytest.raises(InvalidFieldError) as caught:
        _form(parameters)
    return caught.value.field


async def test_parameters_and_the_file_in_pieces_are_one_form() -> None:
    form = _form(_parameters(content_type="audio/wav"), *_data(b"one ", b"", b"two"))
    boundary = form.content_type.partition("boundary=")[2]

    assert (await _body(form)).decode() == (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="model"\r\n\r\n'
        "whisper-1\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
        "one two\r\n"
        f"--{boundary}--\r\n"
    )


async def test_parameters_come_before_the_file_and_each_in_openais_form() -> None:
    form = _form(
        _parameters(
            language="de",
            temperature=0.5,
            timestamp_granularities=["word", "segment"],
            chunking_strategy={"struct_value": _options(type="server_vad")},
            extension=_options(flag=True, known=[{"name": "bob"}], count=7),
        ),
        *_data(b"x"),
        is_stream=True,
    )

    fields = await _fields(form)
    assert fields[:5] == [
        ("model", "whisper-1"),
        ("language", "de"),
        ("temperature", "0.5"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ]
    # A Struct keeps no order.
    assert sorted(fields[5:-2]) == [
        ("chunking_strategy[type]", "server_vad"),
        ("count", "7"),
        ("flag", "true"),
        ("known[][name]", "bob"),
    ]
    assert fields[-2:] == [("stream", "true"), ("file", "x")]


async def test_a_file_without_a_content_type_is_bytes() -> None:
    assert b"Content-Type: application/octet-stream\r\n" in await _body(_form(_parameters()))


async def test_two_forms_have_boundaries_of_their_own() -> None:
    assert _form(_parameters()).content_type != _form(_parameters()).content_type


async def test_a_body_has_a_length_only_where_the_file_has_a_size() -> None:
    sized = _form(_parameters(size_bytes=5), *_data(b"12", b"345"))

    assert sized.body.length == len(await _body(sized))
    assert _form(_parameters()).body.length is None


async def test_an_empty_file_may_say_so() -> None:
    form = _form(_parameters(size_bytes=0))

    assert len(await _body(form)) == form.body.length


async def test_a_call_that_is_cancelled_once_its_messages_end_never_sends_the_forms_end() -> None:
    ended = asyncio.Event()

    async def parts() -> AsyncIterator[RequestPart]:
        yield CreateTranscriptionRequest(data=b"half")
        ended.set()

    pieces = aiter(TranscriptionForm(_parameters(), parts(), is_stream=False).body.pieces)
    assert [await anext(pieces), await anext(pieces)][1:] == [b"half"]

    async def send_the_rest() -> bytes:
        return await anext(pieces)

    sending = asyncio.create_task(send_the_rest())
    await ended.wait()
    sending.cancel()
    await asyncio.wait([sending])

    assert sending.cancelled()


@pytest.mark.parametrize("pieces", [[], [b"1234"], [b"1234", b"56"]], ids=["no", "less", "more"])
async def test_a_file_of_another_size_than_was_said_is_refused(pieces: list[bytes]) -> None:
    form = _form(_parameters(size_bytes=5), *_data(*pieces))

    assert await _refused_field(form) == "parameters.size_bytes"


async def test_a_file_that_is_too_large_stops_before_what_is_too_much() -> None:
    form = _form(_parameters(size_bytes=5), *_data(b"1234", b"56"))
    pieces = aiter(form.body.pieces)
    assert (await anext(pieces)).endswith(b"\r\n\r\n")
    assert await anext(pieces) == b"1234"
    with pytest.raises(InvalidFieldError):
        await anext(pieces)


@pytest.mark.parametrize(
    "part",
    [StreamTranscriptionRequest(parameters=_parameters()), StreamTranscriptionRequest()],
    ids=["parameters", "nothing"],
)
async def test_each_message_after_the_first_carries_data(part: RequestPart) -> None:
    form = _form(_parameters(), *_data(b"x"), part)

    assert await _refused_field(form) == "data"


async def test_the_first_message_carries_the_parameters() -> None:
    parts = _parts(CreateTranscriptionRequest(parameters=_parameters()), *_data(b"x"))

    assert (await parameters_of(parts)).model == "whisper-1"
    assert [part.data async for part in parts] == [b"x"]


@pytest.mark.parametrize("parts", [[], _data(b"x"), [CreateTranscriptionRequest()]], ids=range(3))
async def test_a_call_without_parameters_in_its_first_message_is_refused(
    parts: list[RequestPart],
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        await parameters_of(_parts(*parts))

    assert caught.value.field == "parameters"


@pytest.mark.parametrize("name", ["", 'a".wav', "a\\.wav", "a\r\nb", "a\x00", "a\x7f", "a" * 256])
def test_a_filename_that_could_end_early_is_refused(name: str) -> None:
    assert _refused_parameter(_parameters(filename=name)) == "parameters.filename"


@pytest.mark.parametrize("name", ["a" * 255, "grüße.wav", "it's; a=b.wav", "%22.wav"])
async def test_any_other_filename_is_sent_as_it_is(name: str) -> None:
    assert f'filename="{name}"\r\n'.encode() in await _body(_form(_parameters(filename=name)))


@pytest.mark.parametrize("content_type", ["audio/wav\r\nX-A: b", "a\n", "a\x00", "ä"])
def test_a_content_type_that_is_no_header_is_refused(content_type: str) -> None:
    parameters = _parameters(content_type=content_type)

    assert _refused_parameter(parameters) == "parameters.content_type"


@pytest.mark.parametrize(
    "name", ["file", "stream", "model", "filename", "content_type", "size_bytes"]
)
def test_an_extension_must_not_name_what_the_form_has(name: str) -> None:
    parameters = _parameters(extension=_options(**{name: "x"}))

    assert _refused_parameter(parameters) == "parameters.extension"


@pytest.mark.parametrize(
    "extension",
    [
        {'a"; filename="b': "x"},
        {"a\r\nb": "x"},
        {"a b": "x"},
        {"": "x"},
        {"a": {"b]": "x"}},
        {"a": None},
        {"a": [None]},
        {"a": []},
        {"a": {"b": {}}},
        {"a" * 65: "x"},
        {"file[": "x"},
    ],
    ids=range(11),
)
def test_an_extension_that_no_form_can_say_is_refused(extension: dict[str, Any]) -> None:
    parameters = _parameters(extension=_options(**extension))

    assert _refused_parameter(parameters) == "parameters.extension"


def test_a_refused_parameter_is_named() -> None:
    parameters = _parameters(chunking_strategy={"null_value": "NULL_VALUE"})

    assert _refused_parameter(parameters) == "parameters.chunking_strategy"


async def test_a_value_cannot_end_its_field() -> None:
    hostile = 'x\r\n--boundary\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o'

    assert ("prompt", hostile) in await _fields(_form(_parameters(prompt=hostile)))
