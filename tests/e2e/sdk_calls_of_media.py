"""Calls of the openai SDK that send or get images, sound and files."""

from __future__ import annotations

from typing import Final

import openai

from tests.e2e.sdk_call import Sdk, SdkCalls, Things, all_of, given, within

# All byte values, and what looks like the end of a multipart part.
CONTENT: Final = bytes(range(256)) * 40 + b"\r\n--not-the-boundary--\r\n"
WORDS: Final = "one two"
MEDIA_CALLS: Final = SdkCalls()
_IMAGE: Final = ("dot.png", CONTENT, "image/png")
_SOUND: Final = ("word.mp3", CONTENT, "audio/mpeg")
_HEARD: Final = f"You sent {len(CONTENT)} bytes."


@MEDIA_CALLS.giving((2, True, 546))
async def images_generate(sdk: Sdk, _things: Things) -> object:
    answer = await given(sdk.images.generate(model="gpt-image-1", prompt="a dot", n=2))
    is_png = answer.data[0].b64_json.startswith("iVBORw0KGgo")
    return len(answer.data), is_png, answer.usage.total_tokens


@MEDIA_CALLS.giving(["image_generation.partial_image", "image_generation.completed"])
async def images_generate_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.images.generate(model="gpt-image-1", prompt="a dot", stream=True, partial_images=1)
    )
    return [event.type for event in await all_of(stream)]


@MEDIA_CALLS.giving((1, 388))
async def images_edit(sdk: Sdk, _things: Things) -> object:
    answer = await given(
        sdk.images.edit(
            model="gpt-image-1",
            image=[_IMAGE, ("second \u00e4.png", CONTENT[::-1], "image/png")],
            mask=_IMAGE,
            prompt="make it blue",
        )
    )
    return len(answer.data), answer.usage.input_tokens - 3


@MEDIA_CALLS.giving(["image_edit.partial_image", "image_edit.completed"])
async def images_edit_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.images.edit(model="gpt-image-1", image=_IMAGE, prompt="make it blue", stream=True)
    )
    return [event.type for event in await all_of(stream)]


@MEDIA_CALLS.giving(["https://images.invalid/1.png"] * 2)
async def images_create_variation(sdk: Sdk, _things: Things) -> object:
    answer = await given(sdk.images.create_variation(image=_IMAGE, n=2, size="256x256"))
    return [image.url for image in answer.data]


@MEDIA_CALLS.giving((_HEARD, "tokens"))
async def audio_transcription(sdk: Sdk, _things: Things) -> object:
    heard = await given(
        sdk.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=_SOUND, include=["logprobs"], prompt="w\u00f6rter"
        )
    )
    return heard.text, heard.usage.type


@MEDIA_CALLS.giving((_HEARD, "transcript.text.done"))
async def audio_transcription_stream(sdk: Sdk, _things: Things) -> object:
    stream = await given(
        sdk.audio.transcriptions.create(model="gpt-4o-transcribe", file=_SOUND, stream=True)
    )
    events = await all_of(stream)
    return "".join(event.delta for event in events[:-1]), events[-1].type


@MEDIA_CALLS.giving((_HEARD, 1.0, "english"))
async def audio_transcription_in_full(sdk: Sdk, _things: Things) -> object:
    heard = await given(
        sdk.audio.transcriptions.create(
            model="whisper-1",
            file=_SOUND,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    )
    return heard.text, heard.duration, heard.language


@MEDIA_CALLS.giving(f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{_HEARD}\n")
async def audio_transcription_as_subtitles(sdk: Sdk, _things: Things) -> object:
    return await given(
        sdk.audio.transcriptions.create(model="whisper-1", file=_SOUND, response_format="vtt")
    )


@MEDIA_CALLS.giving(_HEARD)
async def audio_translation(sdk: Sdk, _things: Things) -> object:
    return (await given(sdk.audio.translations.create(model="whisper-1", file=_SOUND))).text


@MEDIA_CALLS.giving((8192, "audio/opus"))
async def audio_speech(sdk: Sdk, _things: Things) -> object:
    sound = await given(
        sdk.audio.speech.create(model="tts-1", voice="alloy", input=WORDS, response_format="opus")
    )
    return len(sound.content), sound.response.headers["content-type"]


@MEDIA_CALLS.giving((8192, "audio/mpeg"))
async def audio_speech_streamed(sdk: Sdk, _things: Things) -> object:
    streaming = sdk.audio.speech.with_streaming_response
    async with within(streaming.create(model="tts-1", voice="alloy", input=WORDS)) as sound:
        pieces = await all_of(await given(sound.iter_bytes(1000)))
    return sum(len(piece) for piece in pieces), sound.headers["content-type"]


@MEDIA_CALLS.giving(("h\u00f6ren.bin", len(CONTENT), "user_data", "processed"))
async def files_create(sdk: Sdk, _things: Things) -> object:
    file = await given(
        sdk.files.create(
            file=("h\u00f6ren.bin", CONTENT),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
    )
    return file.filename, file.bytes, file.purpose, file.status


@MEDIA_CALLS.giving(("empty.txt", 0))
async def files_create_empty(sdk: Sdk, _things: Things) -> object:
    file = await given(sdk.files.create(file=("empty.txt", b""), purpose="user_data"))
    return file.filename, file.bytes


@MEDIA_CALLS.giving(5)
async def files_list(sdk: Sdk, things: Things) -> object:
    # Two at a time: the SDK follows the cursor over three pages.
    files = await all_of(sdk.files.list(purpose=things["purpose"], limit=2, order="asc"))
    return len({file.id for file in files})


@MEDIA_CALLS.giving(("kept.bin", len(CONTENT)))
async def files_retrieve(sdk: Sdk, things: Things) -> object:
    file = await given(sdk.files.retrieve(things["file"]))
    return file.filename, file.bytes


@MEDIA_CALLS.giving((CONTENT, 'attachment; filename="kept.bin"'))
async def files_content(sdk: Sdk, things: Things) -> object:
    content = await given(sdk.files.content(things["file"]))
    return content.content, content.response.headers["content-disposition"]


@MEDIA_CALLS.giving(CONTENT)
async def files_content_streamed(sdk: Sdk, things: Things) -> object:
    streaming = sdk.files.with_streaming_response
    async with within(streaming.content(things["file"])) as content:
        return b"".join(await all_of(await given(content.iter_bytes())))


@MEDIA_CALLS.giving((True, "not_found"))
async def files_delete(sdk: Sdk, _things: Things) -> object:
    made = await given(sdk.files.create(file=("gone.txt", b"gone"), purpose="user_data"))
    deleted = await given(sdk.files.delete(made.id))
    try:
        await given(sdk.files.retrieve(made.id))
    except openai.NotFoundError as error:
        return deleted.deleted, error.code
    return deleted.deleted, ""


@MEDIA_CALLS.giving(("completed", "big.bin", len(CONTENT)))
async def uploads_in_parts(sdk: Sdk, _things: Things) -> object:
    upload = await given(
        sdk.uploads.upload_file_chunked(
            file=CONTENT,
            filename="big.bin",
            bytes=len(CONTENT),
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=4096,
        )
    )
    return upload.status, upload.file.filename, upload.file.bytes


@MEDIA_CALLS.giving(("pending", "upload.part", "cancelled"))
async def uploads_cancel(sdk: Sdk, _things: Things) -> object:
    upload = await given(
        sdk.uploads.create(filename="big.bin", bytes=9, mime_type="text/plain", purpose="user_data")
    )
    part = await given(sdk.uploads.parts.create(upload.id, data=b"part"))
    return upload.status, part.object, (await given(sdk.uploads.cancel(upload.id))).status


@MEDIA_CALLS.giving(("/v1/realtime/calls/rtc_", True))
async def realtime_call(sdk: Sdk, _things: Things) -> object:
    call = await given(
        sdk.realtime.calls.create(
            sdp="v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n",
            session={"type": "realtime", "model": "gpt-realtime"},
        )
    )
    return call.response.headers["location"][:23], call.text.startswith("v=0")


@MEDIA_CALLS.giving(("ek_", "gpt-realtime"))
async def realtime_client_secret(sdk: Sdk, _things: Things) -> object:
    secret = await given(
        sdk.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"})
    )
    return secret.value[:3], secret.session.model
