"""What policy and metering need to know of a request's body. The body itself is never changed."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway_svc.domain.endpoint import Endpoint
from gateway_svc.domain.headers import Headers, header
from gateway_svc.domain.multipart import MultipartReader, is_multipart
from gateway_svc.domain.named_models import (
    NamedModels,
    models_in_form,
    models_in_url,
    parse_json,
)
from gateway_svc.domain.token_bounds import (
    UNBOUNDED,
    TokenBounds,
    bounds_beside_json,
    token_bounds,
)
from svc_runtime.service_error import InvalidFieldError

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_MORE_MODELS: Final = 16
_NEEDS_MODEL: Final = frozenset({"chat/completions", "completions", "embeddings"})
_JSON: Final = re.compile(
    r"\s*application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE
)
_FORM: Final = re.compile(r"\s*application/x-www-form-urlencoded\s*", re.IGNORECASE)
_TOO_LARGE_RULE: Final = "must have at most 10 MiB"
# Objects are what costs time to parse: a body of nothing else would hold a processor for seconds.
_MAX_MARKS: Final = {b"{": 100_000, b"[": 200_000}
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS  # zlib's way to say "gzip, and nothing else"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request says.

    Attributes:
        model: The model it names; empty for none.
        more_models: Other models that it names anywhere inside, such as those of its tools.
        token_bounds: The most tokens that it can take.
    """

    model: str = ""
    more_models: tuple[str, ...] = ()
    token_bounds: TokenBounds = UNBOUNDED


def facts_of(
    method: str, endpoint: Endpoint, query: str, headers: Headers, body: bytes
) -> RequestFacts:
    """Read what policy needs from a request.

    A body of a type that is not read names no model: where a grant limits models, the key service
    refuses it, unless the endpoint alone decides.

    Raises:
        InvalidFieldError: The body is too large, could be read in two ways, or lacks the model that
            the endpoint needs; or the URL names several models.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidFieldError("body", _TOO_LARGE_RULE)
    in_url = models_in_url(endpoint, query)
    needs_model = endpoint.name in _NEEDS_MODEL and method == "POST"
    if not body:
        if needs_model:
            raise InvalidFieldError("body", "must be a JSON object that names a model")
        return facts_of_models(in_url)
    content_type = header(headers, "content-type")
    plain = _decoded(body, header(headers, "content-encoding"))
    if _JSON.fullmatch(content_type):
        named = NamedModels()
        parsed = _parse_object(plain, named)
        main = _main_model(parsed)
        if needs_model and not main:
            raise InvalidFieldError("model", "must name a model")
        bounds = token_bounds(endpoint.name, parsed, len(plain))
        return facts_of_models((main, *in_url, *named.names), bounds)
    if needs_model:
        raise InvalidFieldError("content-type", "must be application/json, in UTF-8")
    models = (*in_url, *_models_beside_json(content_type, plain))
    return facts_of_models(models, bounds_beside_json(endpoint.name))


def _models_beside_json(content_type: str, plain: bytes) -> Sequence[str]:
    """Return the models that a body of another type than JSON names, if its type is read."""
    if is_multipart(content_type):
        reader = MultipartReader(content_type)
        reader.feed(plain)
        reader.must_be_whole()
        return reader.models
    if _may_be_json(plain):
        raise InvalidFieldError("content-type", "must be application/json for a body in JSON")
    return models_in_form(_text(plain), "body") if _FORM.fullmatch(content_type) else ()


def facts_of_models(models: Sequence[str], bounds: TokenBounds = UNBOUNDED) -> RequestFacts:
    """Return the facts of a request that names *models*, the main one first.

    Raises:
        InvalidFieldError: They are too many, or one cannot be a model's name.
    """
    named = NamedModels()
    named.add(*models)
    if len(named.names) > MAX_MORE_MODELS + 1:
        raise InvalidFieldError("model", f"at most {MAX_MORE_MODELS + 1} models may be named")
    main, *more = named.names or ("",)
    return RequestFacts(main, tuple(more), bounds)


def _decoded(body: bytes, encoding: str) -> bytes:
    """Return *body* without its content encoding.

    Raises:
        InvalidFieldError: It has another than gzip, or is not what that says, or too large inside.
    """
    if encoding.strip().lower() in {"", "identity"}:
        return body
    if encoding.strip().lower() != "gzip":
        raise InvalidFieldError("content-encoding", "must be gzip, or absent")
    reader = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = reader.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        plain = None
    if plain is not None and len(plain) > MAX_BODY_BYTES:
        raise InvalidFieldError("body", _TOO_LARGE_RULE)
    # One member only: what follows it, some would read and others not.
    if plain is None or not reader.eof or reader.unused_data:
        raise InvalidFieldError("body", "must be one whole gzip member")
    return plain


def _parse_object(body: bytes, models: NamedModels) -> dict[str, object]:
    if any(body.count(mark) > bound for mark, bound in _MAX_MARKS.items()):
        raise InvalidFieldError("body", "must hold at most 100,000 objects and 200,000 lists")
    parsed: object = None
    with contextlib.suppress(ValueError, RecursionError):
        # Decoded here, because json.loads would also take UTF-16, which OpenAI does not.
        parsed = parse_json(body.decode("utf-8"), models)
    if not isinstance(parsed, dict):
        raise InvalidFieldError(
            "body", "must be one JSON object in UTF-8, in which no name occurs twice"
        )
    return parsed


def _main_model(parsed: dict[str, object]) -> str:
    model = parsed.get("model")
    if model is None:
        return ""
    if not isinstance(model, str):
        raise InvalidFieldError("model", "must be a string")
    return model


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        pass
    raise InvalidFieldError("body", "must be percent-encoded, in ASCII")


def _may_be_json(body: bytes) -> bool:
    """Tell whether a lenient server could read *body*, of another type, as JSON."""
    start = body[:256].decode(json.detect_encoding(body[:4]), "ignore")
    return start.lstrip(" \t\r\n\ufeff")[:1] in {"{", "["} or not start.strip()
