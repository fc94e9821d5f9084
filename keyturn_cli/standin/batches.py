"""/v1/batches: each is completed as soon as somebody looks."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import dump, json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.errors import ApiError
from keyturn_cli.standin.files import FILE, keep_file
from keyturn_cli.standin.form import Content
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, Object, page_response

_BATCH: Final = "batch"
_INPUT_TOKENS: Final = 10  # of each request of a batch
_OUTPUT_TOKENS: Final = 5
_WINDOW_SECONDS: Final = 24 * 3600


async def create_batch(request: web.Request) -> web.StreamResponse:
    """Take a batch in."""
    body = RequestBody.read(request)
    now = unix_time(request)
    batch = {
        "id": new_id("batch_"),
        "object": "batch",
        "endpoint": body.text("endpoint"),
        "errors": None,
        "input_file_id": body.text("input_file_id"),
        "completion_window": body.text("completion_window"),
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "in_progress_at": None,
        "expires_at": now + _WINDOW_SECONDS,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.mapping("metadata") or None,
    }
    return json_response(request.app[STORE].put(_BATCH, batch))


async def get_batch(request: web.Request) -> web.StreamResponse:
    """Answer with a batch, completed unless it was cancelled."""
    batch = request.app[STORE].get(_BATCH, request.match_info["id"])
    if batch["status"] == "validating":
        batch = _complete(request, batch)
    return json_response(batch)


async def list_batches(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the batches, as they were last looked at."""
    return page_response(request, request.app[STORE].all(_BATCH))


async def cancel_batch(request: web.Request) -> web.StreamResponse:
    """Give a batch up."""
    batch = request.app[STORE].get(_BATCH, request.match_info["id"])
    cancelled = {**batch, "status": "cancelling", "cancelling_at": unix_time(request)}
    return json_response(request.app[STORE].put(_BATCH, cancelled))


def _complete(request: web.Request, batch: Object) -> Object:
    """Complete *batch*, and keep its output file."""
    now = unix_time(request)
    requests = _count_requests(request, str(batch["input_file_id"]))
    output = Content()
    for number in range(requests):
        line = {"id": f"batch_req_{number}", "custom_id": str(number), "error": None}
        output.feed(dump({**line, "response": {"status_code": 200, "body": {}}}) + b"\n")
    file = keep_file(request, f"{batch['id']}_output.jsonl", "batch_output", output)
    input_tokens, output_tokens = requests * _INPUT_TOKENS, requests * _OUTPUT_TOKENS
    completed = {
        **batch,
        "status": "completed",
        "model": "gpt-4o-mini",
        "output_file_id": file["id"],
        "in_progress_at": now,
        "finalizing_at": now,
        "completed_at": now,
        "request_counts": {"total": requests, "completed": requests, "failed": 0},
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return request.app[STORE].put(_BATCH, completed)


def _count_requests(request: web.Request, file_id: str) -> int:
    """Return how many lines the input file has, or 1 when there is no such file."""
    try:
        content = request.app[STORE].content(FILE, file_id)
    except ApiError:
        return 1
    return len(content.text().splitlines())


ROUTES: Final = (
    web.post("/v1/batches", create_batch),
    web.get("/v1/batches", list_batches),
    web.get("/v1/batches/{id}", get_batch),
    web.post("/v1/batches/{id}/cancel", cancel_batch),
)
