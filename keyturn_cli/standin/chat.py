"""POST /v1/chat/completions: one JSON object, or a stream of chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, new_id, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.bearer import key_error
from keyturn_cli.standin.chat_request import ChatRequest
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.stored_chats import keep_chat
from keyturn_cli.standin.stream_events import broken_off, obfuscation
from keyturn_cli.standin.usage_counts import count_served

_ARGUMENTS: Final = "{}"
_DONE: Final = b"data: [DONE]\n\n"


async def create_chat_completion(request: web.Request) -> web.StreamResponse:
    """Answer a chat completion request."""
    body = RequestBody.read(request)
    chat = ChatRequest.parse(body)
    head: dict[str, object] = {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion.chunk" if chat.streams else "chat.completion",
        "created": unix_time(request),
        "model": chat.model,
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }
    manner = Manner.of_model(chat.model)
    count_served(request, "completions", chat.prompt_tokens, chat.completion_tokens)
    if chat.streams:
        events = _events(head, chat)
        if manner.echoes_key:
            events = broken_off(events, event(key_error(request).body()))
        return await send_events(request, events, manner)
    choices = [_choice(chat, index) for index in range(chat.choices)]
    completion = {**head, "choices": choices, "usage": chat.usage()}
    keep_chat(request, body, completion)
    return await send_json(request, completion, manner)


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


def _events(head: dict[str, object], chat: ChatRequest) -> Iterator[bytes]:
    """Render the stream: per choice a first, the content's and a last chunk, then the end."""
    no_usage = {"usage": None} if chat.includes_usage else {}
    for delta, reason in _steps(chat):
        for index in range(chat.choices):
            yield event(
                {
                    **head,
                    "choices": [_chunk_choice(index, delta, reason)],
                    **no_usage,
                    **(obfuscation(delta.get("content")) if chat.includes_obfuscation else {}),
                }
            )
    if chat.includes_usage:
        yield event(
            {
                **head,
                "choices": [],
                "usage": chat.usage(),
                **(obfuscation("") if chat.includes_obfuscation else {}),
            }
        )
    yield _DONE


def _steps(chat: ChatRequest) -> Iterator[tuple[dict[str, object], str | None]]:
    """Yield each delta, with the reason to finish beside the last."""
    if chat.tool:
        opening = {"index": 0, **_tool_call(chat.tool, "")}
        rest = {"index": 0, "function": {"arguments": _ARGUMENTS}}
        yield {"role": "assistant", "content": None, "tool_calls": [opening], "refusal": None}, None
        yield {"tool_calls": [rest]}, None
    else:
        yield {"role": "assistant", "content": "", "refusal": None}, None
        for token in chat.reply:
            yield {"content": token}, None
    yield {}, chat.finish_reason


def _chunk_choice(
    index: int, delta: dict[str, object], finish_reason: str | None
) -> dict[str, object]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


ROUTES: Final = (web.post("/v1/chat/completions", create_chat_completion),)
