"""/v1/threads and their messages."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.beta_header import refuse_without_beta
from keyturn_cli.standin.request_body import RequestBody, content_text, wrong_type
from keyturn_cli.standin.store import STORE, Object, page_response

THREAD: Final = "thread"


def keep_thread(request: web.Request, body: RequestBody) -> Object:
    """Keep a new thread with the messages that *body* has; return it."""
    thread: Object = {
        "id": new_id("thread_"),
        "object": "thread",
        "created_at": unix_time(request),
        "metadata": body.mapping("metadata"),
        "tool_resources": body.mapping("tool_resources"),
    }
    request.app[STORE].put(THREAD, thread)
    for message in body.items("messages") if body.optional("messages") else []:
        if not isinstance(message, dict):
            raise wrong_type("messages", "an array of objects", message)
        text = content_text(message.get("content"), "messages.content")
        keep_message(request, str(thread["id"]), str(message.get("role", "user")), text)
    return thread


def keep_message(
    request: web.Request, thread_id: str, role: str, text: str, run: Object | None = None
) -> Object:
    """Keep a new message of a thread, that of *run* if an assistant wrote it; return it."""
    now = unix_time(request)
    message = {
        "id": new_id("msg_"),
        "object": "thread.message",
        "created_at": now,
        "thread_id": thread_id,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": now,
        "incomplete_at": None,
        "role": role,
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
        "assistant_id": run["assistant_id"] if run else None,
        "run_id": run["id"] if run else None,
        "attachments": [],
        "metadata": {},
    }
    return request.app[STORE].put(messages_of(thread_id), message)


def messages_of(thread_id: str) -> str:
    """Return the kind under which the messages of a thread are kept."""
    return f"message of {thread_id}"


async def create_thread(request: web.Request) -> web.StreamResponse:
    """Keep a new thread."""
    refuse_without_beta(request)
    return json_response(keep_thread(request, RequestBody.read(request)))


async def get_thread(request: web.Request) -> web.StreamResponse:
    """Answer with a thread."""
    return json_response(_thread(request))


async def update_thread(request: web.Request) -> web.StreamResponse:
    """Change the metadata of a thread."""
    metadata = RequestBody.read(request).mapping("metadata")
    changed = {**_thread(request), "metadata": metadata}
    return json_response(request.app[STORE].put(THREAD, changed))


async def delete_thread(request: web.Request) -> web.StreamResponse:
    """Forget a thread."""
    thread_id = str(_thread(request)["id"])
    request.app[STORE].delete(THREAD, thread_id)
    return json_response({"id": thread_id, "object": "thread.deleted", "deleted": True})


async def create_message(request: web.Request) -> web.StreamResponse:
    """Put a message into a thread."""
    thread_id = str(_thread(request)["id"])
    body = RequestBody.read(request)
    text = content_text(body.required("content"), "content")
    return json_response(keep_message(request, thread_id, body.text("role"), text))


async def list_messages(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the messages of a thread."""
    thread_id = str(_thread(request)["id"])
    return page_response(request, request.app[STORE].all(messages_of(thread_id)))


async def get_message(request: web.Request) -> web.StreamResponse:
    """Answer with a message."""
    kind = messages_of(str(_thread(request)["id"]))
    return json_response(request.app[STORE].get(kind, request.match_info["message"]))


async def delete_message(request: web.Request) -> web.StreamResponse:
    """Take a message out of its thread."""
    message_id = request.match_info["message"]
    request.app[STORE].delete(messages_of(str(_thread(request)["id"])), message_id)
    return json_response({"id": message_id, "object": "thread.message.deleted", "deleted": True})


def _thread(request: web.Request) -> Object:
    """Return the thread that the path names.

    Raises:
        ApiError: There is none, or the request does not name the version of the API.
    """
    refuse_without_beta(request)
    return request.app[STORE].get(THREAD, request.match_info["id"])


ROUTES: Final = (
    web.post("/v1/threads", create_thread),
    web.get("/v1/threads/{id}", get_thread),
    web.post("/v1/threads/{id}", update_thread),
    web.delete("/v1/threads/{id}", delete_thread),
    web.post("/v1/threads/{id}/messages", create_message),
    web.get("/v1/threads/{id}/messages", list_messages),
    web.get("/v1/threads/{id}/messages/{message}", get_message),
    web.delete("/v1/threads/{id}/messages/{message}", delete_message),
)
