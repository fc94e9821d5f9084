"""Takes what OpenAI repeats of a key out of its error messages."""

from __future__ import annotations

import json
import re
from typing import Final

# OpenAI's error texts show the key that was sent, in part, with stars in place of the middle:
# `sk-proj-********abcd`. The whole key is no longer known here, so the form is what is looked for.
# An ellipsis or bullets may stand there too, in UTF-8, as JSON, HTML or a URL escapes them. What
# stands before does not matter, be it the `n` of an escaped line break: better that `task-12345`
# loses its end.
_MIDDLE: Final = (
    rb"(?:[A-Za-z0-9_*.-]|\xe2\x80[\xa2\xa6]|\\u202[26]|%[0-9A-Fa-f]{2}"
    rb"|&(?:hellip|bull|ast|#x?[0-9A-Fa-f]{1,6});)"
)
_ECHO: Final = re.compile(rb"(?:sk|sess)(?:-|%2[Dd]|&#x?2?[0-9Dd]{1,2};)" + _MIDDLE + rb"{4,}")
# What the sentence of a refusal shows of it, whatever the key's form.
_REFUSAL: Final = re.compile(rb"((?:API|api) key provided:? *)" + _MIDDLE + rb"+", re.IGNORECASE)
_REPLACEMENT: Final = b"[key]"


def without_key_echo(body: bytes) -> bytes:
    """Return *body*, an error body, with everything that looks like a key replaced.

    JSON is read and written anew, because it can spell each character in several ways.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _replaced(body)
    plain = json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    replaced = _replaced(plain.encode("utf-8", "replace"))
    return body if replaced == plain.encode("utf-8", "replace") else replaced


def _replaced(text: bytes) -> bytes:
    return _REFUSAL.sub(rb"\1" + _REPLACEMENT, _ECHO.sub(_REPLACEMENT, text))
