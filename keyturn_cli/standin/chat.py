"""POST /v1/chat/completions: one JSON object, or a stream of chunks."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import Manner, event, new_id, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.chat_request import ChatRequest
from keyturn_cli.standin.request_body import RequestBody

_ARGUMENTS: Final = "{}"
_DONE: Final = b"data: [DONE]\n\n"


async def create_chat_completion(request: web.Request) -> web.StreamResponse:
    """Answer a chat completion request."""
    chat = ChatRequest.parse(await RequestBody.read(request))
    head: dict[str, object] = {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion.chunk" if chat.streams else "chat.completion",
        "created": unix_time(request),
        "model": chat.model,
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }
    manner = Manner.of_model(chat.model)
    if chat.streams:
        return await send_events(request, _events(head, chat), manner)
    choices = [_choice(chat, index) for index in range(chat.choices)]
    return await send_json(request, {**head, "choices": choices, "usage": chat.usage()}, manner)


def _choice(chat: ChatRequest, index: int) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if chat.tool else "".join(chat.reply),
        "refusal": None,
        "annotations": [],
    }
    if chat.tool:
        message["tool_calls"] = [_tool_call(chat.tool, _ARGUMENTS)]
    return {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": chat.finish_reason,
    }


def _tool_call(name: str, arguments: str) -> dict[str, object]:
    return {
        "id": new_id("call_"),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _events(head: dict[str, object], chat: ChatRequest) -> list[bytes]:
    """Render the stream: per choice a first, the content's and a last chunk, then the end."""
    no_usage = {"usage": None} if chat.includes_usage else {}
    steps: list[tuple[dict[str, object], str | None]] = [
        *((delta, None) for delta in _deltas(chat)),
        ({}, chat.finish_reason),
    ]
    events = [
        event({**head, "choices": [_chunk_choice(index, delta, reason)], **no_usage})
        for delta, reason in steps
        for index in range(chat.choices)
    ]
    if chat.includes_usage:
        events.append(event({**head, "choices": [], "usage": chat.usage()}))
    return [*events, _DONE]


def _deltas(chat: ChatRequest) -> list[dict[str, object]]:
    if chat.tool:
        opening = {"index": 0, **_tool_call(chat.tool, "")}
        rest = {"index": 0, "function": {"arguments": _ARGUMENTS}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [opening], "refusal": None},
            {"tool_calls": [rest]},
        ]
    first: dict[str, object] = {"role": "assistant", "content": "", "refusal": None}
    return [first, *(dict[str, object](content=token) for token in chat.reply)]


def _chunk_choice(
    index: int, delta: dict[str, object], finish_reason: str | None
) -> dict[str, object]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
