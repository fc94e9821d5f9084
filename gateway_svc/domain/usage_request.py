"""Makes a streamed chat completion tell its usage, without a change to any other byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not list it
from typing import Final

_ENDPOINTS: Final = frozenset({"chat/completions", "completions"})
_OPTIONS: Final = "stream_options"
_INCLUDE: Final = "include_usage"
_ASKING: Final = '"include_usage":true'
_SPACE: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a JSON object, and where its value stands."""

    name: str
    value: object
    start: int
    end: int


def asking_for_usage(
    method: str, endpoint: str, body: bytes, content_encoding: str
) -> bytes | None:
    """Return *body* made to ask for the usage; None when it need not or cannot be.

    Args:
        method: HTTP method.
        endpoint: Path after `/v1/`.
        body: A body that policy has read: if it is JSON, no name occurs twice.
        content_encoding: That of the body.
    """
    is_chat = method == "POST" and endpoint in _ENDPOINTS
    if not is_chat or content_encoding not in {"", "identity"} or b'"stream"' not in body:
        return None
    try:
        text = body.decode("utf-8")
        members = {member.name: member for member in _members(text, 0)}
    except (ValueError, RecursionError):
        return None
    stream = members.get("stream")
    if stream is None or stream.value is not True:
        return None
    return _asking(text, members.get(_OPTIONS))


def _asking(text: str, options: _Member | None) -> bytes | None:
    if options is None:
        after = text.index("{") + 1
        return _spliced(text, after, after, f'"{_OPTIONS}":{{{_ASKING}}},')
    if options.value is None:
        return _spliced(text, options.start, options.end, f"{{{_ASKING}}}")
    if not isinstance(options.value, dict):
        return None  # OpenAI says what is wrong with it
    include = next((m for m in _members(text, options.start) if m.name == _INCLUDE), None)
    if include is None:
        after = options.start + 1
        return _spliced(text, after, after, _ASKING + ("," if options.value else ""))
    if include.value is False or include.value is None:
        return _spliced(text, include.start, include.end, "true")
    return None


def _spliced(text: str, start: int, end: int, insert: str) -> bytes:
    return (text[:start] + insert + text[end:]).encode()


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield the members of the JSON object at *start*.

    Raises:
        ValueError: There is no JSON object.
    """
    decoder = json.JSONDecoder()
    position = _skip(text, start)
    if text[position : position + 1] != "{":
        raise ValueError
    position = _skip(text, position + 1)
    while text[position : position + 1] == '"':
        name, position = scanstring(text, position + 1)
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise ValueError
        value_start = _skip(text, position + 1)
        value, value_end = decoder.raw_decode(text, value_start)
        yield _Member(name, value, value_start, value_end)
        position = _skip(text, value_end)
        if text[position : position + 1] != ",":
            return
        position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position
