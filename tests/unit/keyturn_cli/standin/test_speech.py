from __future__ import annotations

import base64

import openai

from keyturn_cli.standin.speech import speech_of


async def test_speech_is_binary_and_grows_with_the_input(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="good morning", response_format="wav"
    )

    assert answer.content == speech_of("good") + speech_of(" morning")
    assert answer.response.headers["content-type"] == "audio/wav"


async def test_speech_can_be_read_while_it_arrives(sdk: openai.AsyncOpenAI) -> None:
    async with sdk.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="one two three"
    ) as answer:
        size = sum([len(piece) async for piece in answer.iter_bytes()])

    assert size == 3 * 4096


async def test_a_stream_of_events_brings_the_same_speech_and_the_usage(
    sdk: openai.AsyncOpenAI,
) -> None:
    answer = await sdk.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse"
    )

    first, second, rest = answer.text.split("\n\n")
    assert base64.b64encode(speech_of("hi")).decode() in first
    assert '"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}' in second
    assert rest == ""
