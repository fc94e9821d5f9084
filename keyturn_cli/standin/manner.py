"""How an answer goes out, as the suffixes of the model's name ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

_SLOW_PAUSE_SECONDS: Final = 0.05
_MANY_PAUSE_SECONDS: Final = 0.02
_MANY_TOKENS: Final = tuple(f"{number} " for number in range(50))
# Together with what surrounds each token a little less than 64 MiB.
_FLOOD_TOKENS: Final = ("x" * 16384,) * 4000
_SUFFIXES: Final = ("slow", "hang", "cut", "gzip", "paced", "flood", "many", "echo")


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer goes out.

    Attributes:
        pause_seconds: Wait between two events of a stream.
        hangs: Nothing is ever sent; the request ends when the client leaves.
        cuts: The connection closes after half of the answer.
        compresses: The answer is compressed if the client takes gzip.
        is_paced: Each event of a stream waits for `POST /standin/release`.
        echoes_key: A stream breaks off with an error event that shows part of the key.
        stream_tokens: What a stream says instead of its reply; empty for the reply.
    """

    pause_seconds: float = 0.0
    hangs: bool = False
    cuts: bool = False
    compresses: bool = False
    is_paced: bool = False
    echoes_key: bool = False
    stream_tokens: Sequence[str] = ()

    @classmethod
    def of_model(cls, model: str) -> Self:
        """Return the manner that the suffixes of *model* ask for, in any order."""
        suffixes = _suffixes(model)
        pauses = {"slow": _SLOW_PAUSE_SECONDS, "many": _MANY_PAUSE_SECONDS}
        tokens = {"flood": _FLOOD_TOKENS, "many": _MANY_TOKENS}
        return cls(
            pause_seconds=max((pauses.get(suffix, 0.0) for suffix in suffixes), default=0.0),
            hangs="hang" in suffixes,
            cuts="cut" in suffixes,
            compresses="gzip" in suffixes,
            is_paced="paced" in suffixes,
            echoes_key="echo" in suffixes,
            stream_tokens=next((tokens[name] for name in tokens if name in suffixes), ()),
        )


def _suffixes(model: str) -> frozenset[str]:
    found: set[str] = set()
    rest, dash, suffix = model.rpartition("-")
    while dash and suffix in _SUFFIXES:
        found.add(suffix)
        rest, dash, suffix = rest.rpartition("-")
    return frozenset(found)
