"""Calls of the openai SDK that a limited grant does not cover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import openai

from tests.e2e.sdk_calls_of_media import CONTENT
from tests.e2e.sdk_calls_of_models import MESSAGES, MODEL

# Terms of the grant, the call, and the reason.
REFUSED: Final[dict[str, tuple[dict[str, Any], Callable[[openai.OpenAI], Any], str]]] = {
    "model of a chat": (
        {"models": ["o1"]},
        lambda sdk: sdk.chat.completions.create(model=MODEL, messages=MESSAGES),  # type: ignore[arg-type]  # TypedDicts
        "MODEL_NOT_GRANTED",
    ),
    "model of a form": (
        {"models": ["o1"]},
        lambda sdk: sdk.audio.transcriptions.create(model="whisper-1", file=("a.mp3", CONTENT)),
        "MODEL_NOT_GRANTED",
    ),
    "model of a path": (
        {"models": ["o1"]},
        lambda sdk: sdk.models.retrieve("gpt-4o"),
        "MODEL_NOT_GRANTED",
    ),
    "model of a tool": (
        {"models": [MODEL]},
        lambda sdk: sdk.responses.create(
            model=MODEL, input="hi", tools=[{"type": "image_generation", "model": "gpt-image-1"}]
        ),
        "MODEL_NOT_GRANTED",
    ),
    "batch under a limit on models": (
        {"models": [MODEL]},
        lambda sdk: sdk.batches.create(
            input_file_id="file-1", endpoint="/v1/embeddings", completion_window="24h"
        ),
        "MODEL_NOT_GRANTED",
    ),
    "endpoint": (
        {"endpoints": ["chat/completions"]},
        lambda sdk: sdk.files.list(),
        "ENDPOINT_NOT_GRANTED",
    ),
    "form to an endpoint": (
        {"endpoints": ["chat/completions"]},
        lambda sdk: sdk.files.create(file=("a.bin", CONTENT), purpose="user_data"),
        "ENDPOINT_NOT_GRANTED",
    ),
    "network": (
        {"source_cidrs": ["192.0.2.0/24"]},
        lambda sdk: sdk.models.list(),
        "SOURCE_NOT_GRANTED",
    ),
}
