"""What requests took, as gateways report it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UsageSource(StrEnum):
    """Where the figures come from."""

    NONE = "none"
    REPORTED = "reported"  # by OpenAI
    SEEN = "seen"  # counted in a stream that broke off before OpenAI reported
    RESERVED = "reserved"  # the bound of the request, for want of anything better


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request took.

    Attributes:
        cached_input_tokens: Those of the input tokens that OpenAI had in its cache.
        reasoning_tokens: Those of the output tokens that the answer does not show.
        audio_seconds: Length of the audio, where OpenAI bills by that.
        model: As OpenAI named it; empty when it did not.
        subject: Id of OpenAI's object; whoever adds up counts each once.
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
