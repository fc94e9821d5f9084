from __future__ import annotations

from collections.abc import Callable

import aiohttp
import openai
import pytest

_CheckShape = Callable[[openai.BaseModel], None]

_SOUND = ("sound.wav", bytes(40_000))


async def test_a_transcription_states_its_usage_in_tokens(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    answer = await sdk.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=_SOUND, prompt="two words"
    )

    check_shape(answer)
    assert answer.text == "You sent 40000 bytes."
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (32, 4)


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
async def test_whisper_states_its_usage_in_seconds(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape, response_format: str
) -> None:
    answer = await sdk.audio.transcriptions.create(
        model="whisper-1",
        file=_SOUND,
        response_format=response_format,  # type: ignore[call-overload]  # both, one by one
    )

    check_shape(answer)
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 3)


async def test_a_transcription_can_be_plain_text(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.audio.transcriptions.create(
        model="whisper-1", file=_SOUND, response_format="text"
    )

    assert answer == "You sent 40000 bytes.\n"


async def test_a_stream_brings_the_text_word_by_word_and_then_the_usage(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    stream = await sdk.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=_SOUND, stream=True
    )
    events = [event async for event in stream]

    for event in events:
        check_shape(event)
    assert [event.type for event in events] == [
        *["transcript.text.delta"] * 4,
        "transcript.text.done",
    ]
    assert events[-1].to_dict()["usage"] == {
        "type": "tokens",
        "input_tokens": 30,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 30},
        "output_tokens": 4,
        "total_tokens": 34,
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK
async def test_a_translation_has_no_usage(
    sdk: openai.AsyncOpenAI, check_shape: _CheckShape
) -> None:
    answer = await sdk.audio.translations.create(model="whisper-1", file=_SOUND)

    check_shape(answer)
    assert answer.to_dict() == {"text": "You sent 40000 bytes."}


async def test_a_transcription_needs_a_known_model(
    sdk: openai.AsyncOpenAI, http: aiohttp.ClientSession, working_key: dict[str, str]
) -> None:
    with pytest.raises(openai.NotFoundError):
        await sdk.audio.transcriptions.create(model="unknown-1", file=_SOUND)
    form = aiohttp.FormData()
    form.add_field("file", b"1", filename="sound.wav")
    async with http.post("audio/transcriptions", data=form, headers=working_key) as response:
        error = (await response.json())["error"]

    assert (response.status, error["param"]) == (400, "model")
