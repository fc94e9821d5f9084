"""What policy and metering need to know of a request's body. The body itself is never changed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from svc_runtime.service_error import InvalidFieldError

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
_MAX_MODEL: Final = 256  # characters; the key service takes no more either
_NEEDS_MODEL: Final = frozenset({"chat/completions", "completions", "embeddings"})
_JSON: Final = re.compile(
    r"\s*application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE
)
_MODEL: Final = "model"
MAX_MORE_MODELS: Final = 16
# Objects are what costs time to parse: a body of nothing else would hold a processor for seconds.
_MAX_MARKS: Final = {b"{": 100_000, b"[": 200_000}
_REFERENCES: Final = (
    b'"conversation"',
    b'"file_id"',
    b'"file_url"',
    b'"image_url"',
    b'"input_audio"',
    b'"previous_response_id"',
    b'"prompt"',
)
_TOKEN_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a body says.

    Attributes:
        model: The model it names; empty for none.
        more_models: Other models that it names anywhere inside, such as those of its tools.
        token_bound: The most tokens it can cost, prompt and answer; 0 when it sets no bound.
    """

    model: str = ""
    more_models: tuple[str, ...] = ()
    token_bound: int = 0


def facts_of(method: str, endpoint: Endpoint, content_type: str, body: bytes) -> RequestFacts:
    """Read what policy needs from a JSON *body*.

    Raises:
        InvalidFieldError: The body is too large, not JSON, could be read in two ways (a name that
            occurs twice), or lacks the model that the endpoint needs.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidFieldError("body", "must have at most 10 MiB")
    if not body:
        if method == "POST" and endpoint.name in _NEEDS_MODEL:
            raise InvalidFieldError("body", "must be a JSON object that names a model")
        return RequestFacts()
    if not _JSON.fullmatch(content_type):
        raise InvalidFieldError("content-type", "must be application/json, in UTF-8")
    if any(body.count(mark) > bound for mark, bound in _MAX_MARKS.items()):
        raise InvalidFieldError("body", "must hold at most 100,000 objects and 200,000 lists")
    named = _Models()
    parsed = _parse(body, named)
    model = _model(parsed, endpoint)
    return RequestFacts(model, named.but(model), _token_bound(parsed, body))


class _Models:
    """Collects the models that a body names, at any depth and in any letter case.

    A `model` that is no string is none: a tool may have a parameter of that name.
    """

    def __init__(self) -> None:
        self._models: dict[str, None] = {}

    def unambiguous(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """Refuse a name that occurs twice: OpenAI might take the other value than policy did."""
        parsed = dict(pairs)
        if len(parsed) != len(pairs):
            raise ValueError
        for name, value in pairs:
            if len(name) == len(_MODEL) and name.lower() == _MODEL and isinstance(value, str):
                self._models[value] = None
        return parsed

    def but(self, model: str) -> tuple[str, ...]:
        """Return the models other than *model*, checked."""
        others = tuple(_checked(other) for other in self._models if other not in {model, ""})
        if len(others) > MAX_MORE_MODELS:
            raise InvalidFieldError("model", f"at most {MAX_MORE_MODELS + 1} models may be named")
        return others


def _model(parsed: dict[str, object], endpoint: Endpoint) -> str:
    model = parsed.get("model")
    if model is None:
        model = ""
    if not isinstance(model, str):
        raise InvalidFieldError("model", "must be a string")
    if not model and endpoint.name in _NEEDS_MODEL:
        raise InvalidFieldError("model", "must name a model")
    return _checked(model)


def _checked(model: str) -> str:
    if len(model) > _MAX_MODEL or not model.isascii() or not model.isprintable():
        raise InvalidFieldError("model", "must have at most 256 printable ASCII characters")
    return model


def _parse(body: bytes, named: _Models) -> dict[str, object]:
    try:
        # Decoded here, because json.loads would also take UTF-16, which OpenAI does not.
        parsed = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=named.unambiguous,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidFieldError(
            "body", "must be one JSON object in UTF-8, in which no name occurs twice"
        )
    return parsed


def _refuse_constant(constant: str) -> object:
    raise ValueError(constant)


def _token_bound(parsed: dict[str, object], body: bytes) -> int:
    """Bound the cost: a token of the prompt has at least one byte of the body.

    That holds for text that stands in the body. What the body only refers to has no bound here.
    """
    if any(reference in body for reference in _REFERENCES):
        return 0
    limits = [parsed[name] for name in _TOKEN_LIMITS if name in parsed]
    answers = parsed.get("n", 1)
    if not limits or not all(_is_count(limit) for limit in limits) or not _is_count(answers):
        return 0
    return len(body) + max(int(str(limit)) for limit in limits) * int(str(answers))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
