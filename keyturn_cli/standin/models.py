"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response
from keyturn_cli.standin.errors import ApiError
from keyturn_cli.standin.request_body import UNKNOWN_MODEL_PREFIX

_LISTED: Final = ("gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "omni-moderation-latest")
_CREATED: Final = 1715367049  # Seconds since 1970; the same for every model.


async def list_models(_request: web.Request) -> web.StreamResponse:
    """Answer with the models that have a name of OpenAI's."""
    return json_response({"object": "list", "data": [_model(name) for name in _LISTED]})


async def get_model(request: web.Request) -> web.StreamResponse:
    """Answer with one model; every name that chat completions accept exists."""
    name = request.match_info["model"]
    if name.startswith(UNKNOWN_MODEL_PREFIX):
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"The model '{name}' does not exist",
            param="model",
            code="model_not_found",
        )
    return json_response(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}
