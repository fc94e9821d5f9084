"""POST /v1/embeddings: small unit vectors that depend on the input alone."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import send_json
from keyturn_cli.standin.errors import invalid_parameter
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody, wrong_type
from keyturn_cli.standin.tokens import count_tokens
from keyturn_cli.standin.usage_counts import count_served

_DEFAULT_DIMENSIONS: Final = 8
_MAX_DIMENSIONS: Final = 3072  # Of OpenAI's largest embedding model.
_UINT32_MIDDLE: Final = 2**31


async def create_embeddings(request: web.Request) -> web.StreamResponse:
    """Answer an embeddings request with one vector per input."""
    body = RequestBody.read(request)
    model = body.model()
    inputs = _read_inputs(body.required("input"))
    dimensions = body.count("dimensions", _MAX_DIMENSIONS) or _DEFAULT_DIMENSIONS
    is_base64 = _read_is_base64(body)
    tokens = sum(count for _, count in inputs)
    count_served(request, "embeddings", tokens)
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(vector, is_base64=is_base64)}
        for index, vector in enumerate(_unit_vector(text, dimensions) for text, _ in inputs)
    ]
    payload = {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return await send_json(request, payload, Manner.of_model(model))


def _read_inputs(value: object) -> list[tuple[str, int]]:
    """Return each input's text and token count; token ids stand for their JSON text."""
    if isinstance(value, str):
        return [(value, count_tokens(value))]
    if not isinstance(value, list) or not value:
        raise wrong_type("input", "a string or a non-empty array", value)
    if _are_token_ids(value):
        return [(json.dumps(value), len(value))]
    inputs = []
    for index, element in enumerate(value):
        if isinstance(element, str):
            inputs.append((element, count_tokens(element)))
        elif isinstance(element, list) and element and _are_token_ids(element):
            inputs.append((json.dumps(element), len(element)))
        else:
            raise wrong_type(f"input[{index}]", "a string or an array of integers", element)
    return inputs


def _are_token_ids(values: list[object]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _read_is_base64(body: RequestBody) -> bool:
    encoding = body.optional("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise invalid_parameter(
            "Invalid value for 'encoding_format': supported values are 'float' and 'base64'.",
            "encoding_format",
            "invalid_value",
        )
    return encoding == "base64"


def _unit_vector(text: str, dimensions: int) -> Sequence[float]:
    """Return a vector of length 1 whose direction is a hash of *text*."""
    noise = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * dimensions)
    raw = [number - _UINT32_MIDDLE + 0.5 for number in struct.unpack(f"<{dimensions}I", noise)]
    length = math.hypot(*raw)  # Never 0, since no element is.
    return [element / length for element in raw]


def _encode(vector: Sequence[float], *, is_base64: bool) -> list[float] | str:
    """Return *vector* in the precision of 32-bit floats, whichever the encoding."""
    layout = f"<{len(vector)}f"
    packed = struct.pack(layout, *vector)
    return base64.b64encode(packed).decode() if is_base64 else list(struct.unpack(layout, packed))


ROUTES: Final = (web.post("/v1/embeddings", create_embeddings),)
