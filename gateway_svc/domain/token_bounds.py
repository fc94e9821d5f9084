"""How many tokens a request can take at most, read from its body.

A token of a prompt has at least one byte of the body, as long as all of the prompt stands in the
body as text. What a body only refers to, what is no text (an image of few bytes has many tokens),
and what OpenAI's own tools add to the prompt is not bounded by it. Whether a model searches the web
by itself, as some do by their very name, is not known here: the operator's price list leaves such a
model's bounds out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

# The key service takes no larger ones.
MAX_TOKEN_BOUND: Final = 10**12
MAX_ANSWERS: Final = 1_000_000
# The most images that OpenAI makes at once.
_MAX_IMAGES: Final = 10

_Body = Mapping[str, object]

# Each brings something into the prompt that is not in the body.
_REFERENCES: Final = (
    "context_management",
    "conversation",
    "previous_response_id",
    "prompt",
    "web_search_options",
)
# Tools that the app runs itself. All others are OpenAI's, whose findings become part of the prompt.
_OWN_TOOLS: Final = frozenset({"custom", "function"})
_TEXT_PARTS: Final = frozenset({"input_text", "output_text", "refusal", "text"})
_MESSAGE_FIELDS: Final = frozenset(
    {
        "annotations",
        "content",
        "function_call",
        "name",
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    }
)
# Where each item of a response's input has its text. One that is not here, such as a reference
# to an item or hidden reasoning, is not in the body.
_TEXT_OF_ITEM: Final = {
    "custom_tool_call": "input",
    "custom_tool_call_output": "output",
    "function_call": "arguments",
    "function_call_output": "output",
    "message": "content",
}
_TOKEN_LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat/completions": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
}


@dataclass(frozen=True, slots=True)
class TokenBounds:
    """The most tokens that a request can take.

    Attributes:
        input: Those of the prompt; 0 when it is not bounded.
        output: Those of all answers; 0 when the request sets no bound.
        answers: How many answers it asks for, 1 to `MAX_ANSWERS`.
        runs_tools: Whether OpenAI may go on by itself: with tools of its own, whose findings join
            the prompt, or turn after turn, as in a run of an assistant or a training job.
    """

    input: int = 0
    output: int = 0
    answers: int = 1
    runs_tools: bool = False


UNBOUNDED: Final = TokenBounds()


def token_bounds(endpoint: str, body: _Body, size: int) -> TokenBounds:
    """Return what bounds a request whose body is the JSON object *body*.

    Args:
        endpoint: The path after `/v1/`.
        body: The body, parsed.
        size: Its length in bytes, without content encoding.
    """
    is_in_body = _IS_IN_BODY.get(endpoint)
    prompt = size if is_in_body is not None and is_in_body(body) else 0
    answers = _answer_count(endpoint, body)
    output = _output(endpoint, body, size, answers)
    return TokenBounds(
        _within_contract(prompt),
        _within_contract(output),
        answers,
        endpoint not in _IN_ONE_TURN or _may_run_tools(endpoint, body),
    )


def bounds_beside_json(endpoint: str) -> TokenBounds:
    """Return what bounds a request to *endpoint* whose body is no JSON, such as an upload."""
    # How many images it asks for may stand behind the last of its files.
    answers = _MAX_IMAGES if endpoint.startswith("images/") else 1
    return TokenBounds(answers=answers, runs_tools=endpoint not in _IN_ONE_TURN)


def _within_contract(bound: int) -> int:
    return bound if bound <= MAX_TOKEN_BOUND else 0


def _output(endpoint: str, body: _Body, size: int, answers: int) -> int:
    """Return the most tokens of all *answers*; 0 when the body sets no bound."""
    limits = [body[name] for name in _TOKEN_LIMITS.get(endpoint, ()) if name in body]
    counts = [_count(limit) for limit in limits]
    if not counts or not all(counts):
        return 0
    # What OpenAI is told to expect, and does not come, is billed as if it had.
    expected = size if body.get("prediction") is not None else 0
    return max(counts) * answers + expected


def _answer_count(endpoint: str, body: _Body) -> int:
    """Return how many answers the body asks for.

    What is no count, or too large a one, OpenAI refuses; should it not, it counts as the most.
    """
    given = [body[name] for name in ("best_of", "n") if body.get(name) is not None]
    choices = [_count(value) or MAX_ANSWERS for value in given]
    return min(max(choices, default=1) * _prompt_count(endpoint, body), MAX_ANSWERS)


def _prompt_count(endpoint: str, body: _Body) -> int:
    """Return how many prompts the body has, each of which is answered."""
    prompts = body.get("prompt")
    if endpoint != "completions" or not isinstance(prompts, list):
        return 1
    return max(1, sum(not isinstance(prompt, int) for prompt in prompts))  # numbers: one of tokens


def _count(value: object) -> int:
    """Return *value* if it is a count; else 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value < 2**31 else 0


def _chat_is_in_body(body: _Body) -> bool:
    messages = body.get("messages")
    return (
        not _refers(body)
        and isinstance(messages, list)
        and all(_is_text_message(message) for message in messages)
    )


def _is_text_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and all(name in _MESSAGE_FIELDS or message[name] is None for name in message)
        and _is_text(message.get("content") or "")
    )


def _response_is_in_body(body: _Body) -> bool:
    items = body.get("input") or ""
    return (
        not _refers(body)
        and isinstance(body.get("instructions") or "", str)
        and (
            isinstance(items, str)
            or (isinstance(items, list) and all(_is_text_item(item) for item in items))
        )
    )


def _is_text_item(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type", "message")
    field = _TEXT_OF_ITEM.get(kind) if isinstance(kind, str) else None
    return field is not None and field in item and _is_text(item[field])


def _input_is_text(body: _Body) -> bool:
    return _is_text(body.get("input"))


def _is_text(content: object) -> bool:
    """Tell whether *content* is text, or a list of text, of its tokens, or of parts of text."""
    if isinstance(content, list):
        return all(_is_text_part(part) for part in content)
    return isinstance(content, str)


def _is_text_part(part: object) -> bool:
    if isinstance(part, list):
        return all(isinstance(token, int) for token in part)
    if isinstance(part, dict):
        kind = part.get("type")
        return isinstance(kind, str) and kind in _TEXT_PARTS
    return isinstance(part, str | int)


def _refers(body: _Body) -> bool:
    """Tell whether something becomes part of the prompt that is not in the body."""
    return _names_tools_of_openai(body) or any(body.get(name) is not None for name in _REFERENCES)


def _may_run_tools(endpoint: str, body: _Body) -> bool:
    # A prompt that is stored at OpenAI brings the tools along that are stored with it.
    has_stored_prompt = endpoint == "responses" and body.get("prompt") is not None
    return (
        has_stored_prompt
        or body.get("web_search_options") is not None
        or _names_tools_of_openai(body)
    )


def _names_tools_of_openai(body: _Body) -> bool:
    tools = body.get("tools") or []
    return not (isinstance(tools, list) and all(_is_own_tool(tool) for tool in tools))


def _is_own_tool(tool: object) -> bool:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return isinstance(kind, str) and kind in _OWN_TOOLS


def _always(_body: _Body) -> bool:
    return True


_IS_IN_BODY: Final[Mapping[str, Callable[[_Body], bool]]] = {
    "audio/speech": _always,
    "chat/completions": _chat_is_in_body,
    "completions": _always,
    "embeddings": _input_is_text,
    "images/generations": _always,
    "moderations": _input_is_text,
    "responses": _response_is_in_body,
}
"""Endpoints whose prompt can stand in the body, and whether it does. At others it never counts as
bounded: a batch or a training job works on files."""

_IN_ONE_TURN: Final = frozenset(
    {
        *_IS_IN_BODY,
        "audio/transcriptions",
        "audio/translations",
        "images/edits",
        "images/variations",
        "responses/compact",
        "responses/input_tokens",
    }
)
"""Endpoints where a model answers once, unless it has tools of OpenAI's."""
