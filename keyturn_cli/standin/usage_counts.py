"""What was served for each key, by day: what OpenAI's usage API tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from aiohttp import web

from keyturn_cli.standin.app_state import CLOCK
from keyturn_cli.standin.bearer import sent_key
from keyturn_cli.standin.standin_keys import openai_key_id

KINDS: Final = (
    "completions",
    "embeddings",
    "images",
    "moderations",
    "audio_speeches",
    "audio_transcriptions",
)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Served:
    """Requests, and the tokens that they took."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Served) -> Served:
        """Return both together."""
        return Served(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


class UsageCounts:
    """Counts for each kind, day and key."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, date, str], Served] = {}

    def add(self, kind: str, day: date, key_id: str, served: Served) -> None:
        """Count *served* for one of `KINDS`."""
        place = (kind, day, key_id)
        self._served[place] = self._served.get(place, Served()).plus(served)

    def of_day(self, kind: str, day: date) -> list[tuple[str, Served]]:
        """Return what each key was served, sorted by its id."""
        return sorted(
            (key_id, served)
            for (k, d, key_id), served in self._served.items()
            if (k, d) == (kind, day)
        )


USAGE: Final[web.AppKey[UsageCounts]] = web.AppKey("usage")


def count_served(
    request: web.Request, kind: str, input_tokens: int = 0, output_tokens: int = 0
) -> None:
    """Count *request*, which is about to be served, for its key."""
    today = request.app[CLOCK].now().astimezone(UTC).date()
    served = Served(1, input_tokens, output_tokens)
    request.app[USAGE].add(kind, today, openai_key_id(sent_key(request)), served)


def day_bounds(day: date) -> tuple[int, int]:
    """Return when *day* begins and ends, in seconds since 1970."""
    begin = datetime.combine(day, time(), UTC)
    return int(begin.timestamp()), int((begin + _DAY).timestamp())
