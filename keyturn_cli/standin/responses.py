"""/v1/responses: one JSON object, or a stream of typed events; and those that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, json_response, new_id, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.bearer import key_error
from keyturn_cli.standin.chat_request import reply_text
from keyturn_cli.standin.errors import ApiError
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody, content_text, wrong_type
from keyturn_cli.standin.store import STORE, page_response
from keyturn_cli.standin.stream_events import broken_off, obfuscation
from keyturn_cli.standin.tokens import count_tokens, tokenize
from keyturn_cli.standin.usage_counts import count_served

_KIND: Final = "response"
_INPUT_KIND: Final = "input of a response"
_MAX_REPEATED: Final = 32 * 1024 * 1024  # characters that the end of a stream says again


@dataclass(frozen=True, slots=True)
class _Reply:
    response_id: str
    message_id: str
    created: int
    model: str
    input_tokens: int
    limit: int | None
    tokens: Sequence[str]
    is_kept: bool
    is_padded: bool

    @property
    def is_cut_short(self) -> bool:
        return self.limit is not None and len(self.tokens) > self.limit

    @property
    def sent_tokens(self) -> Sequence[str]:
        return self.tokens[: self.limit]

    @property
    def text(self) -> str:
        """What was said; of a flood, its start."""
        is_flood = sum(len(token) for token in self.sent_tokens) > _MAX_REPEATED
        return self.sent_tokens[0] if is_flood else "".join(self.sent_tokens)

    @property
    def status(self) -> str:
        return "incomplete" if self.is_cut_short else "completed"


async def create_response(request: web.Request) -> web.StreamResponse:
    """Answer a request of the Responses API."""
    body = RequestBody.read(request)
    model = body.model()
    manner = Manner.of_model(model)
    streams = body.flag("stream")
    input_tokens, question = _read_input(body.required("input"))
    instead = manner.stream_tokens if streams else ()
    wanted = body.mapping("text").get("format")
    text = reply_text(question, wanted if isinstance(wanted, dict) else None)
    reply = _Reply(
        response_id=new_id("resp_"),
        message_id=new_id("msg_"),
        created=unix_time(request),
        model=model,
        input_tokens=input_tokens,
        limit=body.count("max_output_tokens"),
        tokens=instead or tokenize(text),
        is_kept=body.optional("store") is not False,
        is_padded=body.mapping("stream_options").get("include_obfuscation") is True,
    )
    count_served(request, "completions", input_tokens, len(reply.sent_tokens))
    if reply.is_kept:
        request.app[STORE].put(_KIND, _finished(reply))
        request.app[STORE].put(_INPUT_KIND, {"id": reply.response_id, "text": question})
    if not streams:
        return await send_json(request, _finished(reply), manner)
    events = _events(reply)
    if manner.echoes_key:
        events = broken_off(events, _error_event(key_error(request)))
    return await send_events(request, events, manner)


async def get_response(request: web.Request) -> web.StreamResponse:
    """Answer with a kept response."""
    return json_response(request.app[STORE].get(_KIND, request.match_info["id"]))


async def delete_response(request: web.Request) -> web.StreamResponse:
    """Forget a kept response."""
    response_id = request.match_info["id"]
    request.app[STORE].delete(_KIND, response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


async def cancel_response(request: web.Request) -> web.StreamResponse:
    """Answer with the response, which had ended already."""
    return await get_response(request)


async def list_input_items(request: web.Request) -> web.StreamResponse:
    """Answer with what the user said last."""
    kept = request.app[STORE].get(_INPUT_KIND, request.match_info["id"])
    item = {
        "id": new_id("msg_"),
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": kept["text"]}],
    }
    return page_response(request, [item])


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
        "store": reply.is_kept,
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
        "output": [_message(reply, reply.status, [_part(reply.text)])],
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


def _events(reply: _Reply) -> Iterator[bytes]:
    """Render the stream in OpenAI's order; the last event carries the whole response."""
    for number, (name, payload) in enumerate(_steps(reply)):
        yield event({"type": name, "sequence_number": number, **payload}, name)


def _steps(reply: _Reply) -> Iterator[tuple[str, dict[str, object]]]:
    item: dict[str, object] = {"output_index": 0}
    part: dict[str, object] = {"item_id": reply.message_id, "output_index": 0, "content_index": 0}
    yield "response.created", {"response": _started(reply)}
    yield "response.in_progress", {"response": _started(reply)}
    yield "response.output_item.added", {**item, "item": _message(reply, "in_progress", [])}
    yield "response.content_part.added", {**part, "part": _part("")}
    for token in reply.sent_tokens:
        padding = obfuscation(token) if reply.is_padded else {}
        yield "response.output_text.delta", {**part, "delta": token, "logprobs": [], **padding}
    yield "response.output_text.done", {**part, "text": reply.text, "logprobs": []}
    yield "response.content_part.done", {**part, "part": _part(reply.text)}
    done = _message(reply, reply.status, [_part(reply.text)])
    yield "response.output_item.done", {**item, "item": done}
    yield f"response.{reply.status}", {"response": _finished(reply)}


def _error_event(error: ApiError) -> bytes:
    fields = error.body()["error"]
    payload = {key: fields[key] for key in ("code", "message", "param")}
    return event({"type": "error", "sequence_number": 3, **payload}, "error")


ROUTES: Final = (
    web.post("/v1/responses", create_response),
    web.get("/v1/responses/{id}", get_response),
    web.delete("/v1/responses/{id}", delete_response),
    web.post("/v1/responses/{id}/cancel", cancel_response),
    web.get("/v1/responses/{id}/input_items", list_input_items),
)
