"""What streams of several resources have in common."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator
from typing import Final

_EVENTS_BEFORE_BREAK: Final = 3
_PADDED_LENGTH: Final = 16  # characters


def broken_off(events: Iterable[bytes], error: bytes) -> Iterator[bytes]:
    """Yield the first of *events* and then *error*, which ends the stream."""
    yield from itertools.islice(events, _EVENTS_BEFORE_BREAK)
    yield error


def obfuscation(token: object) -> dict[str, object]:
    """Return the member that makes chunks of short and long tokens equally long."""
    length = len(token) if isinstance(token, str) else 0
    missing = -length % _PADDED_LENGTH
    return {"obfuscation": secrets.token_hex(_PADDED_LENGTH)[:missing]}
