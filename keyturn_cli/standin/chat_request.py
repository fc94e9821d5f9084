"""Understanding a chat completion request, and deciding its reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from keyturn_cli.standin.errors import invalid_parameter, missing_parameter
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody, content_text, wrong_type
from keyturn_cli.standin.tokens import count_tokens, tokenize

_TOOL_CALL_TOKENS: Final = 2  # One for the function's name, one for its arguments `{}`.
_MAX_CHOICES: Final = 128  # Of OpenAI's API.


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What of a request decides the answer.

    Attributes:
        model: The model's name.
        prompt_tokens: Tokens of all messages.
        reply: Tokens of the reply's text; empty for a tool call.
        tool: Name of the function to call, or None for a text.
        choices: How many times the reply is given.
        is_cut_short: Whether the token limit shortened the reply.
        streams: Whether the answer is a stream of events.
        includes_usage: Whether the stream ends with the usage.
        includes_obfuscation: Whether each chunk is padded.
    """

    model: str
    prompt_tokens: int
    reply: tuple[str, ...]
    tool: str | None
    choices: int
    is_cut_short: bool
    streams: bool
    includes_usage: bool
    includes_obfuscation: bool

    @classmethod
    def parse(cls, body: RequestBody) -> Self:
        """Read *body*.

        Raises:
            ApiError: *body* breaks a rule of OpenAI's API.
        """
        model = body.model()
        prompt_tokens, question = _read_messages(body)
        limit = body.count("max_completion_tokens") or body.count("max_tokens")
        tool = _required_tool(body)
        streams = body.flag("stream")
        instead = Manner.of_model(model).stream_tokens if streams else ()
        text = reply_text(question, body.mapping("response_format"))
        reply = [] if tool else instead or tokenize(text)
        options = _stream_options(body, streams=streams)
        return cls(
            model=model,
            prompt_tokens=prompt_tokens,
            reply=tuple(reply[:limit]),
            tool=tool,
            choices=body.count("n", _MAX_CHOICES) or 1,
            is_cut_short=limit is not None and len(reply) > limit,
            streams=streams,
            includes_usage=options.get("include_usage") is True,
            includes_obfuscation=options.get("include_obfuscation") is True,
        )

    @property
    def finish_reason(self) -> str:
        """Why the reply ends, in OpenAI's words."""
        if self.tool:
            return "tool_calls"
        return "length" if self.is_cut_short else "stop"

    @property
    def completion_tokens(self) -> int:
        """Tokens of all choices together."""
        return self.choices * (_TOOL_CALL_TOKENS if self.tool else len(self.reply))

    def usage(self) -> dict[str, object]:
        """Return OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def reply_text(question: str, wanted: Mapping[str, object] | None = None) -> str:
    """Return what the stand-in says to *question*: its own words.

    Where the *wanted* format is JSON it says nothing but these, so that the client decides on it.
    """
    if wanted and wanted.get("type") in {"json_object", "json_schema"}:
        return question
    return f"You said: {question}" if question else "You said nothing."


def _read_messages(body: RequestBody) -> tuple[int, str]:
    """Return the tokens of all messages and the text of the last of a user."""
    tokens = 0
    question = ""
    for index, message in enumerate(body.items("messages")):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong_type(where, "an object", message)
        if "role" not in message:
            raise missing_parameter(f"{where}.role")
        text = content_text(message.get("content"), f"{where}.content")
        tokens += count_tokens(text)
        if message["role"] == "user":
            question = text
    return tokens, question


def _required_tool(body: RequestBody) -> str | None:
    """Return the first tool's name if the request insists on a tool call."""
    if body.optional("tool_choice") is not None and not body.optional("tools"):
        raise invalid_parameter(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.",
            "tool_choice",
        )
    if body.optional("tool_choice") != "required":
        return None
    first = body.items("tools")[0]
    function = first.get("function") if isinstance(first, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise missing_parameter("tools[0].function.name")
    return name


def _stream_options(body: RequestBody, *, streams: bool) -> dict[str, object]:
    if body.optional("stream_options") is not None and not streams:
        raise invalid_parameter(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return body.mapping("stream_options")
