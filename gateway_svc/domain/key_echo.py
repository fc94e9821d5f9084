"""Takes what OpenAI repeats of a key out of its error messages."""

from __future__ import annotations

import re
from typing import Final

# OpenAI's error texts show the key that was sent, in part, with stars in place of the middle:
# `sk-proj-********abcd`. The whole key is no longer known here, so the form is what is looked for.
# An ellipsis may stand there too, in UTF-8 or as JSON escapes it. What stands before does not
# matter, be it the `n` of an escaped line break: better that `task-12345` loses its end.
_ECHO: Final = re.compile(rb"sk-(?:[A-Za-z0-9_*.-]|\xe2\x80\xa6|\\u2026){4,}")
_REPLACEMENT: Final = b"[key]"


def without_key_echo(body: bytes) -> bytes:
    """Return *body*, an error body, with everything that looks like a key replaced."""
    return _ECHO.sub(_REPLACEMENT, body)
