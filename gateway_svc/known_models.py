"""Models whose figures metrics tell apart without a setting; no policy asks this list."""

from __future__ import annotations

from typing import Final

KNOWN_MODELS: Final = frozenset(
    {
        "gpt-3.5-turbo",
        "gpt-4",
        "gpt-4-turbo",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4o-mini-transcribe",
        "gpt-4o-transcribe",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-image-1",
        "gpt-realtime",
        "o1",
        "o3",
        "o3-mini",
        "o4-mini",
        "omni-moderation-latest",
        "text-embedding-3-large",
        "text-embedding-3-small",
        "tts-1",
        "whisper-1",
    }
)
