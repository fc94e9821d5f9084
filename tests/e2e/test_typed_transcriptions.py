"""Transcriptions: a file in pieces to OpenAI, and what comes back of it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import grpc
import pytest

from keyturn.gateway.v1.audio_transcription_service_pb2_grpc import AudioTranscriptionServiceStub
from tests.e2e.clients import DEADLINE_SECONDS, Clients, metadata
from tests.e2e.evidence import UpstreamRequest
from tests.e2e.owners import OwnedKey, give_key
from tests.e2e.stream_control import standin
from tests.e2e.typed_calls import (
    SOUND,
    call_rpc,
    last_arrived,
    struct_of,
    transcription_messages,
)


@pytest.fixture(scope="module")
def key(clients: Clients) -> OwnedKey:
    """A key that works, granted to the demo app without limits."""
    return asyncio.run(give_key(clients, "typed-files"))


def _form(arrived: UpstreamRequest, **fields: str) -> bytes:
    """Return the body that OpenAI is to get, with the boundary of what arrived."""
    boundary = arrived.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    parts = [f'name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    parts.append('name="file"; filename="grüße.wav"\r\nContent-Type: audio/wav\r\n\r\n')
    head = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {part}" for part in parts)
    return head.encode() + SOUND + f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize("size", [{}, {"size_bytes": len(SOUND)}], ids=["unsized", "sized"])
async def test_a_file_in_pieces_reaches_openai_as_one_form(
    clients: Clients, key: OwnedKey, size: dict[str, Any]
) -> None:
    messages = transcription_messages(
        "CreateTranscription",
        temperature=0.5,
        include=["logprobs"],
        extension=struct_of(known_speaker_names=["bob"]),
        **size,
    )
    answered = await call_rpc(clients, key, "CreateTranscription", *messages)

    arrived = last_arrived(clients, key)
    body = _form(
        arrived,
        **{
            "model": "gpt-4o-transcribe",
            "temperature": "0.5",
            "include[]": "logprobs",
            "known_speaker_names[]": "bob",
        },
    )
    assert (arrived.method, arrived.path) == ("POST", "/v1/audio/transcriptions")
    assert arrived.body_sha256 == hashlib.sha256(body).hexdigest()
    assert arrived.headers.get("content-length") == (str(len(body)) if size else None)
    transcription = answered.responses[0].transcription
    assert transcription.text == f"You sent {len(SOUND)} bytes."
    assert transcription.usage.type == "tokens"
    assert transcription.usage.extension["input_token_details"]["audio_tokens"] == 50
    assert answered.receipt["x-keyturn-input-tokens"] == "50"
    assert answered.receipt["x-keyturn-output-tokens"] == "4"


async def test_a_transcription_is_streamed_event_by_event(clients: Clients, key: OwnedKey) -> None:
    messages = transcription_messages("StreamTranscription")
    answered = await call_rpc(clients, key, "StreamTranscription", *messages)

    body = _form(last_arrived(clients, key), model="gpt-4o-transcribe", stream="true")
    assert last_arrived(clients, key).body_sha256 == hashlib.sha256(body).hexdigest()
    events = [response.event for response in answered.responses]
    text = f"You sent {len(SOUND)} bytes."
    assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    assert "".join(event.delta for event in events) == text
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", text)
    assert events[-1].usage.input_tokens == 50
    assert answered.receipt["x-keyturn-input-tokens"] == "50"


async def test_an_answer_that_does_not_stream_is_one_event(clients: Clients, key: OwnedKey) -> None:
    messages = transcription_messages("StreamTranscription", "whisper-1")
    answered = await call_rpc(clients, key, "StreamTranscription", *messages)

    (event,) = [response.event for response in answered.responses]
    assert not event.HasField("type")
    assert event.text == f"You sent {len(SOUND)} bytes."
    assert (event.usage.type, event.usage.seconds) == ("duration", 5.0)


async def test_an_answer_in_another_format_is_the_text(clients: Clients, key: OwnedKey) -> None:
    messages = transcription_messages("CreateTranscription", response_format="srt")
    answered = await call_rpc(clients, key, "CreateTranscription", *messages)

    transcription = answered.responses[0].transcription
    assert transcription.text.startswith("1\n00:00:00,000 --> ")
    assert not transcription.HasField("usage")


async def test_an_app_that_leaves_amid_its_upload_ends_the_request_to_openai(
    clients: Clients, key: OwnedKey
) -> None:
    first: Any
    piece: Any
    first, piece, *_ = transcription_messages("CreateTranscription")
    async with standin(clients) as openai, clients.gateway() as channel:
        call = AudioTranscriptionServiceStub(channel).CreateTranscription(
            timeout=DEADLINE_SECONDS, metadata=metadata(key.name)
        )
        await call.write(first)
        await call.write(piece)
        await openai.until(lambda counts: counts["open_requests"] == 1)
        call.cancel()
        counts = await openai.until(lambda counts: counts["open_requests"] == 0)

    assert counts["aborted"] == 1


@pytest.mark.parametrize("size", [len(SOUND) - 1, len(SOUND) + 1], ids=["less", "more"])
async def test_a_file_of_another_size_than_was_said_is_refused_and_never_whole_at_openai(
    clients: Clients, key: OwnedKey, size: int
) -> None:
    messages = transcription_messages("CreateTranscription", size_bytes=size)
    async with standin(clients) as openai:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_rpc(clients, key, "CreateTranscription", *messages)
        counts = await openai.until(lambda counts: counts["open_requests"] == 0)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "parameters.size_bytes: " in str(caught.value.details())
    assert counts["aborted"] == counts["requests"]
