"""What the application and each request carry for the handlers."""

from __future__ import annotations

from collections import Counter
from typing import Final

from aiohttp import web

from svc_runtime.clock import Clock

CLOCK: Final[web.AppKey[Clock]] = web.AppKey("clock")
SERVED: Final[web.AppKey[Counter[bytes]]] = web.AppKey("served")
"""How many requests each key of kind `SOONREVOKED` has made, by its hash."""
REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
START_SECONDS: Final[web.RequestKey[float]] = web.RequestKey("start_seconds", float)


def unix_time(request: web.Request) -> int:
    """Return the current time in seconds since 1970, as OpenAI's objects state it."""
    return int(request.app[CLOCK].now().timestamp())
