"""Tokens that OpenAI reports, read from the answer as it passes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.sse import EventDecoder

# `"usage":` outside of a string: inside of one, each quotation mark has a backslash before it, the
# second of them too, so this does not match there.
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
# Usage stands behind the answer proper; what may follow it (metadata, tools) is smaller than this.
_TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that one request took."""

    input_tokens: int = 0
    output_tokens: int = 0


class UsageMeter:
    """Finds the usage in a JSON or event-stream answer, in bounded memory."""

    def __init__(self, content_type: str) -> None:
        """Read an answer of *content_type*; another than JSON and event streams has no usage."""
        media_type = content_type.partition(";")[0].strip().lower()
        self._is_json = media_type == "application/json"
        self._decoder = EventDecoder() if media_type == "text/event-stream" else None
        self._tail = b""
        self._usage = TokenUsage()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        if self._decoder is not None:
            try:
                events = self._decoder.feed(piece)
            except ValueError:
                self._decoder = None  # nothing that we can meter; the stream goes on untouched
                return
            for event in events:
                self._usage = _usage_in(event) or self._usage
        elif self._is_json:
            self._tail = (self._tail + piece)[-_TAIL_BYTES:]

    def usage(self) -> TokenUsage:
        """Return what was reported so far; zeros when nothing was."""
        return _usage_in(self._tail) or self._usage


def _usage_in(text: bytes) -> TokenUsage | None:
    found = None
    for match in _USAGE.finditer(text):
        found = match
    if found is None:
        return None
    try:
        usage, _ = json.JSONDecoder().raw_decode(text[found.end() - 1 :].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    # Chat completions and embeddings say prompt and completion, responses say input and output.
    return TokenUsage(
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
    )


def _count(usage: dict[str, object], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and 0 <= value < 2**63:
            return value
    return 0
