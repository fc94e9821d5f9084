"""/v1/organization/usage: what was served, by day and key, for an admin key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response
from keyturn_cli.standin.app_state import CLOCK
from keyturn_cli.standin.errors import invalid_parameter, invalid_url, missing_parameter
from keyturn_cli.standin.usage_counts import KINDS, USAGE, Served, day_bounds

# OpenAI pages by days alone. Here a day's results have pages, too, so that a client that does not
# follow them is found out by few keys.
_RESULTS_OF_PAGE: Final = 20
_MAX_DAYS: Final = 31
_PAGE_PREFIX: Final = "page_"
_SECONDS_OF_DAY: Final = 86_400


async def get_usage(request: web.Request) -> web.StreamResponse:
    """Answer with the buckets of the days asked for, as many as fit."""
    kind = request.match_info["kind"]
    if kind not in KINDS:
        raise invalid_url(request.method, request.path)
    days = _days(request)
    wanted = set(_several(request, "api_key_ids"))
    is_by_key = "api_key_id" in _several(request, "group_by")
    results = [
        (day, key_id if is_by_key else None, served)
        for day in days
        for key_id, served in request.app[USAGE].of_day(kind, day)
        if not wanted or key_id in wanted
    ]
    start = _start(request)
    page, rest = results[start : start + _RESULTS_OF_PAGE], results[start + _RESULTS_OF_PAGE :]
    payload = {
        "object": "page",
        "data": [_bucket(kind, day, [(key, s) for d, key, s in page if d == day]) for day in days],
        "has_more": bool(rest),
        "next_page": f"{_PAGE_PREFIX}{start + _RESULTS_OF_PAGE}" if rest else None,
    }
    return json_response(payload)


def _bucket(
    kind: str, day: date, results: Iterable[tuple[str | None, Served]]
) -> dict[str, object]:
    start, end = day_bounds(day)
    return {
        "object": "bucket",
        "start_time": start,
        "end_time": end,
        "results": [_result(kind, key_id, served) for key_id, served in results],
    }


def _result(kind: str, key_id: str | None, served: Served) -> dict[str, object]:
    figures: dict[str, object]
    match kind:
        case "completions":
            figures = {"input_tokens": served.input_tokens, "output_tokens": served.output_tokens}
        case "embeddings" | "moderations":
            figures = {"input_tokens": served.input_tokens}
        case "images":
            figures = {"images": served.requests}
        case "audio_speeches":
            figures = {"characters": 0}
        case _:
            figures = {"seconds": 0}
    return {
        "object": f"organization.usage.{kind}.result",
        "num_model_requests": served.requests,
        "project_id": None,
        "user_id": None,
        "api_key_id": key_id,
        "model": None,
        **figures,
    }


def _days(request: web.Request) -> list[date]:
    if "start_time" not in request.query:
        raise missing_parameter("start_time")
    if request.query.get("bucket_width", "1d") != "1d":
        raise invalid_parameter("The stand-in has buckets of a day only.", "bucket_width")
    now = request.app[CLOCK].now()
    first = _time(request.query["start_time"], "start_time")
    end = _time(request.query.get("end_time", str(int(now.timestamp()) + 1)), "end_time")
    count = _number(request.query.get("limit", "7"), "limit")
    if not 1 <= count <= _MAX_DAYS:
        raise invalid_parameter(f"Invalid 'limit': must be 1 to {_MAX_DAYS}.", "limit")
    days = [first.date() + timedelta(days=index) for index in range(count)]
    return [day for day in days if day_bounds(day)[0] < end.timestamp()]


def _time(raw: str, param: str) -> datetime:
    return datetime.fromtimestamp(min(_number(raw, param), 2**35), UTC)


def _number(raw: str, param: str) -> int:
    if not raw.isdecimal():
        raise invalid_parameter(f"Invalid type for '{param}': expected an integer.", param)
    return int(raw)


def _start(request: web.Request) -> int:
    page = request.query.get("page")
    if page is None:
        return 0
    if not page.startswith(_PAGE_PREFIX):
        raise invalid_parameter("Invalid 'page'.", "page")
    return _number(page.removeprefix(_PAGE_PREFIX), "page")


def _several(request: web.Request, param: str) -> list[str]:
    """Return all values of *param*, in either way that clients write an array."""
    return [*request.query.getall(param, []), *request.query.getall(f"{param}[]", [])]


ROUTES: Final = (web.get("/v1/organization/usage/{kind}", get_usage),)
