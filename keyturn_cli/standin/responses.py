"""POST /v1/responses: one JSON object, or a stream of typed events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from keyturn_cli.standin.answer import Manner, event, new_id, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.chat_request import reply_text
from keyturn_cli.standin.request_body import RequestBody, content_text, wrong_type
from keyturn_cli.standin.tokens import count_tokens, tokenize


@dataclass(frozen=True, slots=True)
class _Reply:
    response_id: str
    message_id: str
    created: int
    model: str
    input_tokens: int
    limit: int | None
    tokens: Sequence[str]

    @property
    def is_cut_short(self) -> bool:
        return self.limit is not None and len(self.tokens) > self.limit

    @property
    def sent_tokens(self) -> Sequence[str]:
        return self.tokens[: self.limit]

    @property
    def status(self) -> str:
        return "incomplete" if self.is_cut_short else "completed"


async def create_response(request: web.Request) -> web.StreamResponse:
    """Answer a request of the Responses API."""
    body = await RequestBody.read(request)
    model = body.model()
    input_tokens, question = _read_input(body.required("input"))
    reply = _Reply(
        response_id=new_id("resp_"),
        message_id=new_id("msg_"),
        created=unix_time(request),
        model=model,
        input_tokens=input_tokens,
        limit=body.count("max_output_tokens"),
        tokens=tokenize(reply_text(question)),
    )
    manner = Manner.of_model(model)
    if body.flag("stream"):
        return await send_events(request, _events(reply), manner)
    return await send_json(request, _finished(reply), manner)


def _read_input(value: object) -> tuple[int, str]:
    """Return the tokens of the whole input and the text of the last of a user."""
    if isinstance(value, str):
        return count_tokens(value), value
    if not isinstance(value, list):
        raise wrong_type("input", "one of a string or array of objects", value)
    tokens = 0
    question = ""
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise wrong_type(f"input[{index}]", "an object", item)
        text = content_text(item.get("content"), f"input[{index}].content")
        tokens += count_tokens(text)
        if item.get("role") == "user":
            question = text
    return tokens, question


def _started(reply: _Reply) -> dict[str, object]:
    return {
        "id": reply.response_id,
        "object": "response",
        "created_at": reply.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": reply.limit,
        "metadata": {},
        "model": reply.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _finished(reply: _Reply) -> dict[str, object]:
    output_tokens = len(reply.sent_tokens)
    return {
        **_started(reply),
        "status": reply.status,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.is_cut_short else None,
        "output": [_message(reply, reply.status, [_part("".join(reply.sent_tokens))])],
        "usage": {
            "input_tokens": reply.input_tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.input_tokens + output_tokens,
        },
    }


def _message(reply: _Reply, status: str, content: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": reply.message_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _events(reply: _Reply) -> list[bytes]:
    """Render the stream in OpenAI's order; the last event carries the whole response."""
    text = "".join(reply.sent_tokens)
    item: dict[str, object] = {"output_index": 0}
    part: dict[str, object] = {"item_id": reply.message_id, "output_index": 0, "content_index": 0}
    steps: list[tuple[str, dict[str, object]]] = [
        ("response.created", {"response": _started(reply)}),
        ("response.in_progress", {"response": _started(reply)}),
        ("response.output_item.added", {**item, "item": _message(reply, "in_progress", [])}),
        ("response.content_part.added", {**part, "part": _part("")}),
        *(
            ("response.output_text.delta", {**part, "delta": token, "logprobs": []})
            for token in reply.sent_tokens
        ),
        ("response.output_text.done", {**part, "text": text, "logprobs": []}),
        ("response.content_part.done", {**part, "part": _part(text)}),
        (
            "response.output_item.done",
            {**item, "item": _message(reply, reply.status, [_part(text)])},
        ),
        (f"response.{reply.status}", {"response": _finished(reply)}),
    ]
    return [
        event({"type": name, "sequence_number": number, **payload}, name)
        for number, (name, payload) in enumerate(steps)
    ]
