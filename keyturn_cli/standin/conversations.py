"""/v1/conversations and their items: kept as they were sent."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.request_body import RequestBody, content_text, wrong_type
from keyturn_cli.standin.store import STORE, Object, page_response

_CONVERSATION: Final = "conversation"


async def create_conversation(request: web.Request) -> web.StreamResponse:
    """Keep a new conversation, with its first items."""
    body = RequestBody.read(request)
    conversation = {
        "id": new_id("conv_"),
        "object": "conversation",
        "created_at": unix_time(request),
        "metadata": body.mapping("metadata"),
    }
    if body.optional("items"):
        _keep_items(request, str(conversation["id"]), body)
    return json_response(request.app[STORE].put(_CONVERSATION, conversation))


async def get_conversation(request: web.Request) -> web.StreamResponse:
    """Answer with a conversation."""
    return json_response(_conversation(request))


async def update_conversation(request: web.Request) -> web.StreamResponse:
    """Change the metadata of a conversation."""
    changed = {**_conversation(request), "metadata": RequestBody.read(request).mapping("metadata")}
    return json_response(request.app[STORE].put(_CONVERSATION, changed))


async def delete_conversation(request: web.Request) -> web.StreamResponse:
    """Forget a conversation."""
    conversation_id = str(_conversation(request)["id"])
    request.app[STORE].delete(_CONVERSATION, conversation_id)
    gone = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return json_response(gone)


async def create_items(request: web.Request) -> web.StreamResponse:
    """Put items into a conversation and answer with these."""
    conversation_id = str(_conversation(request)["id"])
    items = _keep_items(request, conversation_id, RequestBody.read(request))
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]}
    return json_response({"object": "list", "data": items, "has_more": False, **ends})


async def list_items(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the items of a conversation."""
    kind = _items_of(str(_conversation(request)["id"]))
    return page_response(request, request.app[STORE].all(kind))


async def delete_item(request: web.Request) -> web.StreamResponse:
    """Take an item out; answer with the conversation, as OpenAI does."""
    conversation = _conversation(request)
    kind = _items_of(str(conversation["id"]))
    request.app[STORE].delete(kind, request.match_info["item"])
    return json_response(conversation)


def _keep_items(request: web.Request, conversation_id: str, body: RequestBody) -> list[Object]:
    return [
        request.app[STORE].put(_items_of(conversation_id), _message(item))
        for item in body.items("items")
    ]


def _message(item: object) -> Object:
    if not isinstance(item, dict):
        raise wrong_type("items", "an array of objects", item)
    text = content_text(item.get("content"), "items.content")
    return {
        "id": new_id("msg_"),
        "type": "message",
        "status": "completed",
        "role": item.get("role", "user"),
        "content": [{"type": "input_text", "text": text}],
    }


def _conversation(request: web.Request) -> Object:
    """Return the conversation that the path names.

    Raises:
        ApiError: There is none.
    """
    return request.app[STORE].get(_CONVERSATION, request.match_info["id"])


def _items_of(conversation_id: str) -> str:
    return f"item of {conversation_id}"


ROUTES: Final = (
    web.post("/v1/conversations", create_conversation),
    web.get("/v1/conversations/{id}", get_conversation),
    web.post("/v1/conversations/{id}", update_conversation),
    web.delete("/v1/conversations/{id}", delete_conversation),
    web.post("/v1/conversations/{id}/items", create_items),
    web.get("/v1/conversations/{id}/items", list_items),
    web.delete("/v1/conversations/{id}/items/{item}", delete_item),
)
