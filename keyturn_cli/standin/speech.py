"""POST /v1/audio/speech: bytes that no player plays, as many as the text asks for."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, send_events, write
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.tokens import count_tokens, tokenize
from keyturn_cli.standin.usage_counts import count_served

_BYTES_PER_TOKEN: Final = 4096
_CONTENT_TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


async def create_speech(request: web.Request) -> web.StreamResponse:
    """Answer with one piece of noise per word of the input."""
    body = RequestBody.read(request)
    model = body.model()
    words = tokenize(body.text("input"))
    body.required("voice")
    count_served(request, "audio_speeches")
    pieces = [speech_of(word) for word in words]
    if body.optional("stream_format") == "sse":
        tokens = {"input_tokens": count_tokens(body.text("input")), "output_tokens": len(words)}
        usage = {**tokens, "total_tokens": sum(tokens.values())}
        events = [_delta(piece) for piece in pieces]
        done = event({"type": "speech.audio.done", "usage": usage})
        return await send_events(request, [*events, done], Manner.of_model(model))
    content_type = _CONTENT_TYPES.get(body.text("response_format", default="mp3"), "audio/mpeg")
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    for piece in pieces:
        await write(request, response, piece)
    await response.write_eof()
    return response


def speech_of(word: str) -> bytes:
    """Return the noise that stands for *word*: always the same, and all byte values."""
    return hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(_BYTES_PER_TOKEN)


def _delta(piece: bytes) -> bytes:
    return event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})


ROUTES: Final = (web.post("/v1/audio/speech", create_speech),)
