"""The paths under /standin: what tests see of the stand-in, and how they hold it.

They are no part of the API: they ask for no key, answer this machine alone, and are
neither recorded nor counted.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response
from keyturn_cli.standin.app_state import CLOCK
from keyturn_cli.standin.errors import ApiError, invalid_parameter
from keyturn_cli.standin.progress import PACE, PROGRESS
from keyturn_cli.standin.usage_counts import KINDS, USAGE, Served

CONTROL_PREFIX: Final = "/standin/"
_FIGURES: Final = ("requests", "input_tokens", "output_tokens")
_MAX_RELEASED: Final = 100_000  # by one request


async def get_progress(request: web.Request) -> web.StreamResponse:
    """Answer with the counts."""
    _refuse_unless_local(request)
    return json_response(request.app[PROGRESS].as_json())


async def release_events(request: web.Request) -> web.StreamResponse:
    """Let the next `n` events of paced streams go, one unless stated."""
    _refuse_unless_local(request)
    raw = request.query.get("n", "1")
    if not raw.isdecimal() or not 1 <= int(raw) <= _MAX_RELEASED:
        raise invalid_parameter(f"Invalid 'n': must be 1 to {_MAX_RELEASED}.", "n")
    request.app[PACE].release(int(raw))
    return json_response({"released": int(raw)})


async def add_usage(request: web.Request) -> web.StreamResponse:
    """Count use of a key that nobody sent, as the query says: somebody else's."""
    _refuse_unless_local(request)
    kind, key_id = request.query.get("kind", KINDS[0]), request.query.get("api_key_id", "")
    day = request.query.get("date", request.app[CLOCK].now().astimezone(UTC).date().isoformat())
    figures = [request.query.get(name, "0") for name in _FIGURES]
    if kind not in KINDS or not key_id or not all(figure.isdecimal() for figure in figures):
        raise invalid_parameter("Name 'kind', 'api_key_id' and figures.", "kind")
    served = Served(*map(int, figures))
    request.app[USAGE].add(kind, date.fromisoformat(day), key_id, served)
    return json_response({"kind": kind, "date": day, **asdict(served)})


async def reset(request: web.Request) -> web.StreamResponse:
    """Count from zero again, and forget releases that no stream waited for."""
    _refuse_unless_local(request)
    request.app[PROGRESS].reset()
    request.app[PACE].reset()
    return json_response(request.app[PROGRESS].as_json())


def _refuse_unless_local(request: web.Request) -> None:
    if request.remote is None or not ip_address(request.remote).is_loopback:
        raise ApiError(HTTPStatus.FORBIDDEN, "Only this machine may control the stand-in.")


ROUTES: Final = (
    web.get("/standin/progress", get_progress),
    web.post("/standin/release", release_events),
    web.post("/standin/reset", reset),
    web.post("/standin/usage", add_usage),
)
