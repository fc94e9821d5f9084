"""Takes what OpenAI repeats of a key out of its error messages."""

from __future__ import annotations

import json
import re
from typing import Final

# OpenAI's error texts show the key that was sent, in part, with stars in place of the middle:
# `sk-proj-********abcd`. The whole key is no longer known here, so the form is what is looked for.
# An ellipsis may stand there too, in UTF-8 or as JSON escapes it. What stands before does not
# matter, be it the `n` of an escaped line break: better that `task-12345` loses its end.
_ECHO: Final = re.compile(rb"sk-(?:[A-Za-z0-9_*.-]|\xe2\x80\xa6|\\u2026){4,}")
_REPLACEMENT: Final = b"[key]"
_MAX_LINE_BYTES: Final = 64 * 1024  # of an error event
_ERROR_EVENTS: Final = frozenset({"error", "response.failed"})


def without_key_echo(body: bytes) -> bytes:
    """Return *body*, an error body, with everything that looks like a key replaced.

    JSON is read and written anew, because it can spell each character in several ways.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _ECHO.sub(_REPLACEMENT, body)
    plain = json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    replaced = _ECHO.sub(_REPLACEMENT, plain.encode("utf-8", "replace"))
    return body if replaced == plain.encode("utf-8", "replace") else replaced


class ErrorEvents:
    """Takes echoes of a key out of the error events of a stream; all else passes byte for byte.

    A piece is held back only from the start of its last, unfinished line.
    """

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """Take *piece*; return what may go on to the app."""
        self._line += piece
        end = self._line.rfind(b"\n") + 1
        if end == 0 and len(self._line) <= _MAX_LINE_BYTES:
            return b""
        # A line longer than OpenAI's longest error is content: an image, for one.
        end = end or len(self._line)
        whole = bytes(self._line[:end])
        del self._line[:end]
        if b'"error"' not in whole and b".failed" not in whole:
            return whole
        return b"".join(_without_error_echo(line) for line in whole.splitlines(keepends=True))

    def rest(self) -> bytes:
        """Return what the end of the stream left unfinished."""
        return _without_error_echo(bytes(self._line))


def _without_error_echo(line: bytes) -> bytes:
    field, colon, data = line.partition(b":")
    if field != b"data" or not colon:
        return line
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return line
    is_error = isinstance(event, dict) and (
        event.get("error") or str(event.get("type", "")) in _ERROR_EVENTS
    )
    if not is_error:
        return line
    replaced = without_key_echo(data.strip())
    return line if replaced == data.strip() else b"data: " + replaced + b"\n"
