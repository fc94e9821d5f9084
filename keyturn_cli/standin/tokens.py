"""The stand-in's tokenisation: one token is one word with the white space before it.

OpenAI's tokenisers split words further, so real counts are higher. This one can be
counted by eye, and joining the tokens gives the text back, byte for byte. White space
at the end of a text is a token of its own. Roles, names and parts that are no text
count nothing.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"\s*\S+|\s+")


def tokenize(text: str) -> list[str]:
    """Split *text* into tokens; an empty text has none."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Return how many tokens *text* has."""
    return len(tokenize(text))
