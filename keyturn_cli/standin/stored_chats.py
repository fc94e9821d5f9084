"""/v1/chat/completions/{id}: those that were asked to be stored."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, Object, has_metadata, page_response

_CHAT: Final = "chat completion"
_MESSAGES: Final = "messages of a chat completion"


def keep_chat(request: web.Request, body: RequestBody, completion: Object) -> None:
    """Keep *completion* if *body* asks for it, with its metadata and the messages before it."""
    if not body.flag("store"):
        return
    metadata = body.mapping("metadata")
    chat = request.app[STORE].put(_CHAT, {**completion, "metadata": metadata})
    messages = {"id": chat["id"], "messages": body.items("messages")}
    request.app[STORE].put(_MESSAGES, messages)


async def list_chats(request: web.Request) -> web.StreamResponse:
    """Answer with a page of those of the model and with the metadata that the query names."""
    model = request.query.get("model")
    kept = [chat for chat in request.app[STORE].all(_CHAT) if has_metadata(chat, request.query)]
    return page_response(request, [chat for chat in kept if model in (None, chat["model"])])


async def get_chat(request: web.Request) -> web.StreamResponse:
    """Answer with a stored completion."""
    return json_response(request.app[STORE].get(_CHAT, request.match_info["id"]))


async def update_chat(request: web.Request) -> web.StreamResponse:
    """Change the metadata of a stored completion."""
    chat = request.app[STORE].get(_CHAT, request.match_info["id"])
    changed = {**chat, "metadata": RequestBody.read(request).mapping("metadata")}
    return json_response(request.app[STORE].put(_CHAT, changed))


async def delete_chat(request: web.Request) -> web.StreamResponse:
    """Forget a stored completion."""
    chat_id = request.match_info["id"]
    request.app[STORE].delete(_CHAT, chat_id)
    return json_response({"id": chat_id, "object": "chat.completion.deleted", "deleted": True})


async def list_messages(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the messages that a stored completion answered."""
    kept = request.app[STORE].get(_MESSAGES, request.match_info["id"])["messages"]
    messages: list[Object] = [
        {**message, "id": f"{request.match_info['id']}-{index}"}
        for index, message in enumerate(kept if isinstance(kept, list) else [])
    ]
    return page_response(request, messages[::-1])


ROUTES: Final = (
    web.get("/v1/chat/completions", list_chats),
    web.get("/v1/chat/completions/{id}", get_chat),
    web.post("/v1/chat/completions/{id}", update_chat),
    web.delete("/v1/chat/completions/{id}", delete_chat),
    web.get("/v1/chat/completions/{id}/messages", list_messages),
)
