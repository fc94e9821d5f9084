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
_TOKEN_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a body says.

    Attributes:
        model: The model it names; empty for none.
        token_bound: The most tokens it can cost, prompt and answer; 0 when it sets no bound.
    """

    model: str = ""
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
    parsed = _parse(body)
    return RequestFacts(_model(parsed, endpoint), _token_bound(parsed, len(body)))


def _model(parsed: dict[str, object], endpoint: Endpoint) -> str:
    model = parsed.get("model")
    if model is None:
        model = ""
    if not isinstance(model, str):
        raise InvalidFieldError("model", "must be a string")
    if not model and endpoint.name in _NEEDS_MODEL:
        raise InvalidFieldError("model", "must name a model")
    if len(model) > _MAX_MODEL or not model.isascii() or not model.isprintable():
        raise InvalidFieldError("model", "must have at most 256 printable ASCII characters")
    return model


def _parse(body: bytes) -> dict[str, object]:
    try:
        # Decoded here, because json.loads would also take UTF-16, which OpenAI does not.
        parsed = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unambiguous, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidFieldError(
            "body", "must be one JSON object in UTF-8, in which no name occurs twice"
        )
    return parsed


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a name that occurs twice: OpenAI might take the other value than policy did."""
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise ValueError
    return parsed


def _refuse_constant(constant: str) -> object:
    raise ValueError(constant)


def _token_bound(parsed: dict[str, object], body_bytes: int) -> int:
    """Bound the cost: a token of the prompt has at least one byte of the body."""
    limits = [parsed[name] for name in _TOKEN_LIMITS if name in parsed]
    answers = parsed.get("n", 1)
    if not limits or not all(_is_count(limit) for limit in limits) or not _is_count(answers):
        return 0
    return body_bytes + max(int(str(limit)) for limit in limits) * int(str(answers))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
