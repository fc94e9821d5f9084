"""/v1/evals: made, listed, changed and deleted; nothing is ever evaluated."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, page_response

_EVAL: Final = "eval"


async def create_eval(request: web.Request) -> web.StreamResponse:
    """Keep a new evaluation."""
    body = RequestBody.read(request)
    kept = {
        "id": new_id("eval_"),
        "object": "eval",
        "created_at": unix_time(request),
        "name": body.text("name", default="Unnamed"),
        "data_source_config": body.required("data_source_config"),
        "testing_criteria": body.items("testing_criteria"),
        "metadata": body.mapping("metadata"),
    }
    return json_response(request.app[STORE].put(_EVAL, kept))


async def list_evals(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the evaluations."""
    return page_response(request, request.app[STORE].all(_EVAL))


async def get_eval(request: web.Request) -> web.StreamResponse:
    """Answer with an evaluation."""
    return json_response(request.app[STORE].get(_EVAL, request.match_info["id"]))


async def update_eval(request: web.Request) -> web.StreamResponse:
    """Change the name or the metadata of an evaluation."""
    body = RequestBody.read(request)
    kept = request.app[STORE].get(_EVAL, request.match_info["id"])
    changes = {name: body.optional(name) for name in ("name", "metadata")}
    stated = {name: value for name, value in changes.items() if value is not None}
    return json_response(request.app[STORE].put(_EVAL, {**kept, **stated}))


async def delete_eval(request: web.Request) -> web.StreamResponse:
    """Forget an evaluation."""
    eval_id = request.match_info["id"]
    request.app[STORE].delete(_EVAL, eval_id)
    return json_response({"eval_id": eval_id, "object": "eval.deleted", "deleted": True})


ROUTES: Final = (
    web.post("/v1/evals", create_eval),
    web.get("/v1/evals", list_evals),
    web.get("/v1/evals/{id}", get_eval),
    web.post("/v1/evals/{id}", update_eval),
    web.delete("/v1/evals/{id}", delete_eval),
)
