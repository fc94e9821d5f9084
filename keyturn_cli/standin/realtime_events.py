"""The events of one reply of a realtime session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from keyturn_cli.standin.answer import new_id
from keyturn_cli.standin.errors import ApiError
from keyturn_cli.standin.tokens import count_tokens, tokenize


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to *question*: *text*, or else *tokens* if there are any."""

    question: str
    text: str
    tokens: Sequence[str]
    response_id: str = field(default_factory=lambda: new_id("resp_"))
    item_id: str = field(default_factory=lambda: new_id("item_"))

    def events(self) -> Iterator[dict[str, object]]:
        """Yield the events in OpenAI's order; the last one has the usage."""
        tokens = self.tokens or tokenize(self.text)
        head: dict[str, object] = {"response_id": self.response_id, "output_index": 0}
        part = {**head, "item_id": self.item_id, "content_index": 0}
        yield {"type": "response.created", "response": self._response("in_progress", [])}
        yield {"type": "response.output_item.added", **head, "item": self._item("in_progress")}
        for token in tokens:
            yield {"type": "response.output_text.delta", **part, "delta": token}
        yield {"type": "response.output_text.done", **part, "text": self.text}
        yield {"type": "response.output_item.done", **head, "item": self._item("completed")}
        response = self._response("completed", [self._item("completed")])
        yield {"type": "response.done", "response": {**response, "usage": self._usage(len(tokens))}}

    def _response(self, status: str, output: list[object]) -> dict[str, object]:
        return {
            "id": self.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": output,
            "output_modalities": ["text"],
            "max_output_tokens": "inf",
            "metadata": None,
            "usage": None,
        }

    def _item(self, status: str) -> dict[str, object]:
        is_done = status == "completed"
        return {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [{"type": "output_text", "text": self.text}] if is_done else [],
        }

    def _usage(self, output_tokens: int) -> dict[str, object]:
        input_tokens = count_tokens(self.question)
        return {
            "total_tokens": input_tokens + output_tokens,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "input_token_details": {
                "text_tokens": input_tokens,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": output_tokens, "audio_tokens": 0},
        }


def error_event(error: ApiError) -> dict[str, object]:
    """Return the event that tells a client of *error*; the session goes on."""
    return {"type": "error", "error": {**error.body()["error"], "event_id": None}}
