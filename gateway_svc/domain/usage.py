"""What requests take, as OpenAI's JSON tells it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

_MAX_COUNT: Final = 2**63 - 1
_MAX_TEXT: Final = 256  # characters of a model's or an object's name
_DONE_TYPES: Final = frozenset(
    {"response.done", "conversation.item.input_audio_transcription.completed"}
)


class UsageSource(StrEnum):
    """Where a usage comes from."""

    NONE = "none"
    REPORTED = "reported"  # by OpenAI
    SEEN = "seen"  # counted in a stream that broke off before OpenAI reported


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request took.

    Attributes:
        cached_input_tokens: Those of the input tokens that OpenAI had in its cache.
        reasoning_tokens: Those of the output tokens that the answer does not show.
        audio_seconds: Length of the audio, where OpenAI bills by that.
        images: How many images were made.
        model: The model as OpenAI named it; empty when it did not.
        subject: Id of the object that the usage is of; whoever adds up counts each once.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    audio_seconds: float = 0.0
    images: int = 0
    model: str = ""
    subject: str = ""
    source: UsageSource = UsageSource.NONE

    def plus(self, other: Usage) -> Usage:
        """Return the sum; what has no sum is that of *other*, which came later."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.audio_seconds + other.audio_seconds,
            self.images + other.images,
            other.model or self.model,
            other.subject or self.subject,
            self.source if other.source is UsageSource.NONE else other.source,
        )


def usage_of_answer(answer: object) -> Usage:
    """Return the usage in *answer*, a parsed JSON answer or event; with what it names anyway.

    Numbers and names that OpenAI would not send count as absent.
    """
    if not isinstance(answer, dict):
        return Usage()
    place = _object(answer, "response") or answer
    usage = _object(place, "usage")
    model, subject = _text(place, "model"), _text(place, "id")
    if usage is None:
        return Usage(model=model, subject=subject)
    # Chat completions and embeddings say prompt and completion, the others input and output.
    # The realtime API says `token_details` where the others say `tokens_details`.
    return Usage(
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
        _detail(
            usage,
            "cached_tokens",
            "prompt_tokens_details",
            "input_tokens_details",
            "input_token_details",
        ),
        _detail(usage, "reasoning_tokens", "completion_tokens_details", "output_tokens_details"),
        _seconds(usage),
        0,
        model,
        subject,
        UsageSource.REPORTED,
    )


def usage_of_event(text: str) -> Usage | None:
    """Return the usage that *text*, an event of the realtime API, reports; None without one."""
    try:
        event: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("type") not in _DONE_TYPES:
        return None
    usage = usage_of_answer(event)
    return usage if usage.source is UsageSource.REPORTED else None


def _object(parent: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    value = parent.get(name)
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else None


def _count(usage: Mapping[str, object], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
            return value
    return 0


def _detail(usage: Mapping[str, object], name: str, *parents: str) -> int:
    return max(_count(_object(usage, parent) or {}, name) for parent in parents)


def _seconds(usage: Mapping[str, object]) -> float:
    value = usage.get("seconds")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number:
        return 0.0
    seconds = float(cast("float", value)) if abs(cast("float", value)) < _MAX_COUNT else 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0


def _text(parent: Mapping[str, object], name: str) -> str:
    value = parent.get(name)
    is_name = isinstance(value, str) and len(value) <= _MAX_TEXT and value.isascii()
    return value if isinstance(value, str) and is_name and value.isprintable() else ""
