"""/v1/audio/transcriptions and translations: they tell how much they were sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, send_body, send_events, send_json
from keyturn_cli.standin.errors import invalid_parameter, missing_parameter, unknown_model
from keyturn_cli.standin.form import Form
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.request_body import UNKNOWN_MODEL_PREFIX
from keyturn_cli.standin.tokens import count_tokens, tokenize
from keyturn_cli.standin.usage_counts import count_served

_BYTES_PER_SECOND: Final = 16_000  # of sound, whatever its format
_TOKENS_PER_SECOND: Final = 10
# The text of a subtitle file, before its only line.
_SUBTITLES: Final = {
    "srt": "1\n00:00:00,000 --> 00:00:01,000\n",
    "vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n",
    "text": "",
}


async def create_transcription(request: web.Request) -> web.StreamResponse:
    """Answer with the text of a sound file."""
    form = request[BODY].required_form("file")
    model = _model(form)
    streams = form.text("stream") == "true"
    text, seconds = _hear(form)
    count_served(request, "audio_transcriptions")
    usage = _usage(model, form, text, seconds)
    if streams and usage["type"] == "tokens":
        manner = Manner.of_model(model)
        tokens = manner.stream_tokens or tokenize(text)
        return await send_events(request, _events(tokens, text, usage), manner)
    return await _answer(request, form, {"text": text, "usage": usage}, seconds)


async def create_translation(request: web.Request) -> web.StreamResponse:
    """Answer with the English text of a sound file; OpenAI states no usage here."""
    form = request[BODY].required_form("file")
    text, seconds = _hear(form)
    count_served(request, "audio_transcriptions")
    return await _answer(request, form, {"text": text}, seconds)


def _model(form: Form) -> str:
    model = form.text("model")
    if not model:
        raise missing_parameter("model")
    if model.startswith(UNKNOWN_MODEL_PREFIX):
        raise unknown_model(model)
    return model


def _hear(form: Form) -> tuple[str, int]:
    """Return the text and the length of the sound in seconds, rounded up."""
    size = form.required("file").content.size
    return f"You sent {size} bytes.", max(math.ceil(size / _BYTES_PER_SECOND), 1)


def _usage(model: str, form: Form, text: str, seconds: int) -> dict[str, object]:
    """Return the usage, in seconds for Whisper and in tokens for all other models."""
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": seconds}
    audio_tokens, text_tokens = (
        seconds * _TOKENS_PER_SECOND,
        count_tokens(form.text("prompt") or ""),
    )
    output_tokens = count_tokens(text)
    return {
        "type": "tokens",
        "input_tokens": audio_tokens + text_tokens,
        "input_token_details": {"text_tokens": text_tokens, "audio_tokens": audio_tokens},
        "output_tokens": output_tokens,
        "total_tokens": audio_tokens + text_tokens + output_tokens,
    }


async def _answer(
    request: web.Request, form: Form, payload: dict[str, object], seconds: int
) -> web.StreamResponse:
    manner = Manner.of_model(_model(form))
    form_of_answer = form.text("response_format") or "json"
    if form_of_answer in _SUBTITLES:
        text = f"{_SUBTITLES[form_of_answer]}{payload['text']}\n"
        return await send_body(request, text.encode(), "text/plain; charset=utf-8", manner)
    if form_of_answer == "verbose_json":
        heard = {"task": "transcribe", "language": "english", "duration": float(seconds)}
        return await send_json(request, {**heard, **payload, "segments": []}, manner)
    if form_of_answer != "json":
        raise invalid_parameter(
            "Invalid value for 'response_format'.", "response_format", "invalid_value"
        )
    return await send_json(request, payload, manner)


def _events(tokens: Sequence[str], text: str, usage: dict[str, object]) -> Iterator[bytes]:
    for token in tokens:
        yield event({"type": "transcript.text.delta", "delta": token})
    yield event({"type": "transcript.text.done", "text": text, "usage": usage})


ROUTES: Final = (
    web.post("/v1/audio/transcriptions", create_transcription),
    web.post("/v1/audio/translations", create_translation),
)
