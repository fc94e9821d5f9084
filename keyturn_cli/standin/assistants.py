"""/v1/assistants: made, listed, changed and deleted."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.beta_header import refuse_without_beta
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, page_response

ASSISTANT: Final = "assistant"
_DEFAULTS: Final[dict[str, object]] = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
}


async def create_assistant(request: web.Request) -> web.StreamResponse:
    """Keep a new assistant."""
    refuse_without_beta(request)
    body = RequestBody.read(request)
    assistant = {
        "id": new_id("asst_"),
        "object": "assistant",
        "created_at": unix_time(request),
        "model": body.model(),
        **_DEFAULTS,
        **_changes(body),
    }
    return json_response(request.app[STORE].put(ASSISTANT, assistant))


async def list_assistants(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the assistants."""
    refuse_without_beta(request)
    return page_response(request, request.app[STORE].all(ASSISTANT))


async def get_assistant(request: web.Request) -> web.StreamResponse:
    """Answer with an assistant."""
    refuse_without_beta(request)
    return json_response(request.app[STORE].get(ASSISTANT, request.match_info["id"]))


async def update_assistant(request: web.Request) -> web.StreamResponse:
    """Change an assistant."""
    refuse_without_beta(request)
    body = RequestBody.read(request)
    kept = request.app[STORE].get(ASSISTANT, request.match_info["id"])
    model = body.model(default=str(kept["model"]))
    changed = {**kept, **_changes(body), "model": model}
    return json_response(request.app[STORE].put(ASSISTANT, changed))


async def delete_assistant(request: web.Request) -> web.StreamResponse:
    """Forget an assistant."""
    refuse_without_beta(request)
    assistant_id = request.match_info["id"]
    request.app[STORE].delete(ASSISTANT, assistant_id)
    return json_response({"id": assistant_id, "object": "assistant.deleted", "deleted": True})


def _changes(body: RequestBody) -> dict[str, object]:
    stated = {name: body.optional(name) for name in _DEFAULTS}
    return {name: value for name, value in stated.items() if value is not None}


ROUTES: Final = (
    web.post("/v1/assistants", create_assistant),
    web.get("/v1/assistants", list_assistants),
    web.get("/v1/assistants/{id}", get_assistant),
    web.post("/v1/assistants/{id}", update_assistant),
    web.delete("/v1/assistants/{id}", delete_assistant),
)
