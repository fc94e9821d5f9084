"""Finds the usage in an answer as it passes, in bounded memory."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

from gateway_svc.domain.sse import EventDecoder
from gateway_svc.domain.usage import Usage, UsageSource, usage_of_answer

# `"usage":` outside of a string: inside of one, each quotation mark has a backslash before it, the
# second of them too, so this does not match there.
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_WHOLE_BYTES: Final = 1024 * 1024  # answers up to here are parsed whole
# Usage stands behind the answer proper; what may follow it (metadata, tools) is smaller than this.
_TAIL_BYTES: Final = 64 * 1024
# A piece of text in an event, of a chat completion, a response or a transcript.
_DELTA: Final = re.compile(rb'"(?:content|delta|arguments|refusal|text)"\s*:\s*"[^"]')
_IMAGE_MARKS: Final = (b'"b64_json"', b'"url"')
_READING: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_BATCH: Final = re.compile(r"batches/[^/]+")


class UsageMeter:
    """Reads an answer, decoded, piece by piece."""

    def __init__(self, method: str, endpoint: str, content_type: str) -> None:
        """Read the answer of *content_type* to a request.

        Requests that only read repeat the usage of others, and count nothing: but for a batch that
        is completed, whose usage is told in no other way.
        """
        media_type = content_type.partition(";")[0].strip().lower()
        self._is_batch = method == "GET" and _BATCH.fullmatch(endpoint) is not None
        is_counted = method not in _READING or self._is_batch
        self._is_json = is_counted and media_type == "application/json"
        is_stream = is_counted and media_type == "text/event-stream"
        self._decoder = EventDecoder() if is_stream else None
        self._body = bytearray()
        self._is_cut = False
        self._images = _Images() if endpoint.startswith("images/") else None
        self._usage = Usage()
        self._delta_count = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        if self._decoder is not None:
            self._feed_events(piece)
        elif self._is_json:
            self._body += piece
            if self._images is not None:
                self._images.feed(piece)
            if len(self._body) > _WHOLE_BYTES:
                self._is_cut = True
                del self._body[:-_TAIL_BYTES]

    def usage(self) -> Usage:
        """Return what was reported so far; else what was seen."""
        if self._is_json:
            return self._usage_of_json()
        if self._usage.source is UsageSource.NONE and self._delta_count:
            return replace(self._usage, output_tokens=self._delta_count, source=UsageSource.SEEN)
        return self._usage

    def _feed_events(self, piece: bytes) -> None:
        if self._decoder is None:
            return
        try:
            events = self._decoder.feed(piece)
        except ValueError:
            self._decoder = None  # nothing that we can meter; the stream goes on untouched
            return
        for event in events:
            self._delta_count += _DELTA.search(event) is not None
            is_first = not self._usage.subject and not self._usage.model
            if is_first or _USAGE.search(event):
                self._note(usage_of_answer(_parsed(event)), event)

    def _note(self, usage: Usage, event: bytes) -> None:
        if usage.source is UsageSource.NONE:
            if usage.model or usage.subject:
                self._usage = replace(self._usage, model=usage.model, subject=usage.subject)
            return
        images = self._usage.images + (b"image_generation.completed" in event[:200])
        self._usage = replace(
            usage,
            images=images,
            model=usage.model or self._usage.model,
            subject=usage.subject or self._usage.subject,
        )

    def _usage_of_json(self) -> Usage:
        answer = None if self._is_cut else _parsed(bytes(self._body))
        answer = self._end_of_answer() if answer is None else answer
        usage = usage_of_answer(answer)
        if self._is_batch and not (
            isinstance(answer, dict) and answer.get("status") == "completed"
        ):
            return Usage()
        if self._images is None or not self._images.count:
            return usage
        return replace(usage, images=self._images.count, source=UsageSource.REPORTED)

    def _end_of_answer(self) -> object:
        """Return the last usage in what is left of a large answer, as an answer."""
        found = None
        for match in _USAGE.finditer(self._body):
            found = match
        if found is None:
            return None
        text = bytes(self._body[found.end() - 1 :]).decode("utf-8", "replace")
        try:
            usage, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return None
        return {"usage": usage}


class _Images:
    """Counts the images in an answer that is too large to be kept."""

    def __init__(self) -> None:
        self.count = 0
        self._ends = dict.fromkeys(_IMAGE_MARKS, b"")

    def feed(self, piece: bytes) -> None:
        for mark, end in self._ends.items():
            text = end + piece
            self.count += text.count(mark)
            self._ends[mark] = text[-(len(mark) - 1) :]


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
