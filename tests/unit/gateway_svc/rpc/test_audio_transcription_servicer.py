from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from gateway_svc.domain.upstream_ports import StreamedBody
from keyturn.gateway.v1 import audio_transcription_service_pb2 as transcription_pb
from keyturn.gateway.v1.audio_transcription_service_pb2_grpc import AudioTranscriptionServiceStub
from svc_runtime.error_details import reason_of
from tests.fakes.fake_upstream import FakeUpstream
from tests.unit.gateway_svc.rpc.rpc_stage import EVENT_STREAM, call, events, serving, sse

PARAMETERS = transcription_pb.TranscriptionParameters(
    model="gpt-4o-transcribe", filename="a.wav", size_bytes=6
)
PLAIN = (("content-type", "text/plain; charset=utf-8"),)
JSON = (("content-type", "Application/JSON"),)


def _messages(kind: Any) -> Sequence[Any]:  # noqa: ANN401 - either request
    return [kind(parameters=PARAMETERS), kind(data=b"123"), kind(data=b"456")]


async def _create(upstream: FakeUpstream) -> transcription_pb.Transcription:
    async with serving(upstream) as channel:
        answer = await call(
            AudioTranscriptionServiceStub(channel).CreateTranscription,
            *_messages(transcription_pb.CreateTranscriptionRequest),
        )
    transcription: transcription_pb.Transcription = answer.transcription
    return transcription


async def _stream(upstream: FakeUpstream) -> list[transcription_pb.TranscriptionEvent]:
    async with serving(upstream) as channel:
        answers = await events(
            AudioTranscriptionServiceStub(channel).StreamTranscription,
            *_messages(transcription_pb.StreamTranscriptionRequest),
        )
    return [answer.event for answer in answers]


async def test_the_file_is_sent_as_a_form_whose_length_is_known() -> None:
    upstream = FakeUpstream(b'{"text":"hi"}', headers=JSON)
    await _create(upstream)

    ((request, _),) = upstream.sent
    body = b"".join(upstream.streamed)
    assert (request.method, request.endpoint.raw) == ("POST", "audio/transcriptions")
    assert isinstance(request.body, StreamedBody)
    assert request.body.length == len(body)
    assert b"\r\n\r\n123456\r\n--" in body
    assert b'name="stream"' not in body
    ((_, content_type),) = [pair for pair in request.headers if pair[0] == "content-type"]
    assert content_type.startswith("multipart/form-data; boundary=")


async def test_an_answer_in_json_is_typed() -> None:
    body = b'{"text":"hi","duration":1.5,"words":[{"word":"hi","start":0,"end":1}],"task":"t"}'
    transcription = await _create(FakeUpstream(body, headers=JSON))

    assert (transcription.text, transcription.duration) == ("hi", 1.5)
    assert (transcription.words[0].word, transcription.words[0].end) == ("hi", 1.0)
    assert set(transcription.extension) == {"task"}


async def test_an_answer_in_another_format_is_the_text_as_it_is() -> None:
    text = '{"text":"1\r\n00:00 --> grüße\n\n"}'
    transcription = await _create(FakeUpstream(text.encode(), headers=PLAIN))

    assert transcription == transcription_pb.Transcription(text=text)


@pytest.mark.parametrize(
    "upstream",
    [FakeUpstream(b"\xff", headers=PLAIN), FakeUpstream(b"[]", headers=JSON)],
    ids=["text", "json"],
)
async def test_an_answer_that_is_neither_is_unusable(upstream: FakeUpstream) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _create(upstream)

    assert reason_of(caught.value) == "UPSTREAM_ANSWER_UNUSABLE"


async def test_a_stream_is_asked_for_and_each_event_becomes_a_message() -> None:
    data = '{"type":"transcript.text.delta","delta":"h"}', '{"type":"transcript.text.done"}'
    upstream = FakeUpstream(*sse(*data), headers=EVENT_STREAM)
    received = await _stream(upstream)

    assert b'name="stream"\r\n\r\ntrue\r\n' in b"".join(upstream.streamed)
    assert [event.type for event in received] == ["transcript.text.delta", "transcript.text.done"]
    assert received[0].delta == "h"


async def test_a_stream_without_its_last_event_was_cut_off() -> None:
    upstream = FakeUpstream(*sse('{"type":"transcript.text.delta"}'), headers=EVENT_STREAM)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _stream(upstream)

    assert reason_of(caught.value) == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize(
    ("body", "headers"), [(b'{"text":"hi"}', JSON), (b"hi", PLAIN)], ids=["json", "text"]
)
async def test_an_answer_that_does_not_stream_is_one_event(
    body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    assert await _stream(FakeUpstream(body, headers=headers)) == [
        transcription_pb.TranscriptionEvent(text="hi")
    ]


async def test_a_refusal_by_openai_is_an_error() -> None:
    upstream = FakeUpstream(b'{"error":{"code":"bad"}}', status=400, headers=JSON)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _create(upstream)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "UPSTREAM_REFUSED"


async def test_data_before_the_parameters_is_refused_before_a_lease() -> None:
    upstream = FakeUpstream(b"{}")
    async with serving(upstream) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(
                AudioTranscriptionServiceStub(channel).CreateTranscription,
                transcription_pb.CreateTranscriptionRequest(data=b"x"),
            )

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert upstream.sent == []
