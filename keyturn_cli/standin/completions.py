"""POST /v1/completions, and under a model's path as of old: text that follows a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, new_id, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.chat_request import reply_text
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.tokens import count_tokens, tokenize
from keyturn_cli.standin.usage_counts import count_served

_DONE: Final = b"data: [DONE]\n\n"


async def create_completion(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; the model is named by the path or by the body."""
    body = RequestBody.read(request)
    model = body.model(default=request.match_info.get("model"))
    manner = Manner.of_model(model)
    prompt = body.text("prompt", default="")
    streams = body.flag("stream")
    instead = manner.stream_tokens if streams else ()
    tokens = (instead or tokenize(reply_text(prompt)))[: body.count("max_tokens")]
    head: dict[str, object] = {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": unix_time(request),
        "model": model,
    }
    usage: dict[str, object] = {
        "prompt_tokens": count_tokens(prompt),
        "completion_tokens": len(tokens),
        "total_tokens": count_tokens(prompt) + len(tokens),
    }
    count_served(request, "completions", count_tokens(prompt), len(tokens))
    if not streams:
        payload = {**head, "choices": [_choice("".join(tokens), "stop")], "usage": usage}
        return await send_json(request, payload, manner)
    asks_for_usage = body.mapping("stream_options").get("include_usage") is True
    events = _events(head, tokens, usage if asks_for_usage else None)
    return await send_events(request, events, manner)


def _events(
    head: dict[str, object], tokens: Sequence[str], usage: dict[str, object] | None
) -> Iterator[bytes]:
    no_usage = {} if usage is None else {"usage": None}
    for token in tokens:
        yield event({**head, "choices": [_choice(token, None)], **no_usage})
    yield event({**head, "choices": [_choice("", "stop")], **no_usage})
    if usage is not None:
        yield event({**head, "choices": [], "usage": usage})
    yield _DONE


def _choice(text: str, finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}


ROUTES: Final = (
    web.post("/v1/completions", create_completion),
    web.post("/v1/engines/{model}/completions", create_completion),
)
