"""/v1/threads/{id}/runs: an assistant answers the last message of a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, json_response, new_id, send_events
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.assistants import ASSISTANT
from keyturn_cli.standin.beta_header import refuse_without_beta
from keyturn_cli.standin.chat_request import reply_text
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.store import STORE, Object, page_response
from keyturn_cli.standin.threads import THREAD, keep_message, keep_thread, messages_of
from keyturn_cli.standin.tokens import count_tokens, tokenize

_LIFE_SECONDS: Final = 600
_DONE: Final = b"event: done\ndata: [DONE]\n\n"


async def create_run(request: web.Request) -> web.StreamResponse:
    """Start a run of a thread."""
    refuse_without_beta(request)
    thread = request.app[STORE].get(THREAD, request.match_info["id"])
    return await _run(request, RequestBody.read(request), str(thread["id"]))


async def create_thread_and_run(request: web.Request) -> web.StreamResponse:
    """Start a run of a new thread."""
    refuse_without_beta(request)
    body = RequestBody.read(request)
    thread = keep_thread(request, RequestBody(body.mapping("thread")))
    return await _run(request, body, str(thread["id"]))


async def get_run(request: web.Request) -> web.StreamResponse:
    """Answer with a run, which has ended unless it was cancelled."""
    refuse_without_beta(request)
    kind = _runs_of(request.match_info["id"])
    return json_response(request.app[STORE].get(kind, request.match_info["run"]))


async def list_runs(request: web.Request) -> web.StreamResponse:
    """Answer with a page of the runs of a thread."""
    refuse_without_beta(request)
    return page_response(request, request.app[STORE].all(_runs_of(request.match_info["id"])))


async def cancel_run(request: web.Request) -> web.StreamResponse:
    """Give a run up."""
    refuse_without_beta(request)
    kind = _runs_of(request.match_info["id"])
    run = request.app[STORE].get(kind, request.match_info["run"])
    cancelled = {**run, "status": "cancelled", "cancelled_at": unix_time(request), "usage": None}
    return json_response(request.app[STORE].put(kind, cancelled))


async def list_steps(request: web.Request) -> web.StreamResponse:
    """Answer with none: a run is done at once."""
    refuse_without_beta(request)
    request.app[STORE].get(_runs_of(request.match_info["id"]), request.match_info["run"])
    return page_response(request, [])


async def _run(request: web.Request, body: RequestBody, thread_id: str) -> web.StreamResponse:
    """Keep a completed run and its message; answer with the run as it started, or a stream."""
    assistant = request.app[STORE].get(ASSISTANT, body.text("assistant_id"))
    started = _started(request, body, thread_id, assistant)
    texts = [_text(message) for message in request.app[STORE].all(messages_of(thread_id))]
    reply = reply_text(texts[0] if texts else "")
    message = keep_message(request, thread_id, "assistant", reply, started)
    prompt_tokens = sum(count_tokens(text) for text in texts)
    completed: Object = {
        **started,
        "status": "completed",
        "started_at": unix_time(request),
        "completed_at": unix_time(request),
        "expires_at": None,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": count_tokens(reply),
            "total_tokens": prompt_tokens + count_tokens(reply),
        },
    }
    request.app[STORE].put(_runs_of(thread_id), completed)
    if not body.flag("stream"):
        return json_response(started)
    manner = Manner.of_model(str(started["model"]))
    return await send_events(request, _events(started, message, completed), manner)


def _started(
    request: web.Request, body: RequestBody, thread_id: str, assistant: Object
) -> dict[str, object]:
    now = unix_time(request)
    return {
        "id": new_id("run_"),
        "object": "thread.run",
        "created_at": now,
        "assistant_id": assistant["id"],
        "thread_id": thread_id,
        "status": "queued",
        "started_at": None,
        "expires_at": now + _LIFE_SECONDS,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "incomplete_details": None,
        "model": body.model(default=str(assistant["model"])),
        "instructions": body.text("instructions", default=str(assistant["instructions"] or "")),
        "tools": assistant["tools"],
        "metadata": body.mapping("metadata"),
        "usage": None,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_prompt_tokens": None,
        "max_completion_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": "auto",
    }


def _events(started: Object, message: Object, completed: Object) -> Iterator[bytes]:
    yield event(started, "thread.run.created")
    opened = {**message, "status": "in_progress", "content": []}
    yield event(opened, "thread.message.created")
    for token in tokenize(_text(message)):
        text = {"index": 0, "type": "text", "text": {"value": token}}
        delta = {
            "id": message["id"],
            "object": "thread.message.delta",
            "delta": {"content": [text]},
        }
        yield event(delta, "thread.message.delta")
    yield event(message, "thread.message.completed")
    yield event(completed, "thread.run.completed")
    yield _DONE


def _text(message: Object) -> str:
    content = message["content"]
    return str(content[0]["text"]["value"]) if isinstance(content, list) else ""


def _runs_of(thread_id: str) -> str:
    return f"run of {thread_id}"


ROUTES: Final = (
    web.post("/v1/threads/runs", create_thread_and_run),
    web.post("/v1/threads/{id}/runs", create_run),
    web.get("/v1/threads/{id}/runs", list_runs),
    web.get("/v1/threads/{id}/runs/{run}", get_run),
    web.post("/v1/threads/{id}/runs/{run}/cancel", cancel_run),
    web.get("/v1/threads/{id}/runs/{run}/steps", list_steps),
)
