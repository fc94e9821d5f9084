"""What a request asks a model to do, as a word of a closed set: `gen_ai.operation.name`."""

from __future__ import annotations

from typing import Final

OTHER_OPERATION: Final = "other"
REALTIME: Final = "realtime"

_WEBSOCKET: Final = "WEBSOCKET"
# The words of OpenTelemetry's semantic conventions, where they have one.
_OPERATIONS: Final = {
    "audio/speech": "speech",
    "audio/transcriptions": "transcription",
    "audio/translations": "translation",
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "images/edits": "image_generation",
    "images/generations": "image_generation",
    "moderations": "moderation",
    "responses": "chat",
}
OPERATIONS: Final = frozenset({*_OPERATIONS.values(), REALTIME})
"""All words but `other`."""


def operation_of(method: str, endpoint: str) -> str:
    """Return what a request does; `other` for one that asks no model.

    Args:
        method: HTTP method, or `WEBSOCKET`.
        endpoint: The path after `/v1/`.
    """
    if method == _WEBSOCKET:
        return REALTIME
    return _OPERATIONS.get(endpoint, OTHER_OPERATION) if method == "POST" else OTHER_OPERATION
