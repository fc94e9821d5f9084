"""/v1/models: those that have a name of OpenAI's, and every name that is asked for."""

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
    name = _existing(request)
    return json_response(_model(name))


async def delete_model(request: web.Request) -> web.StreamResponse:
    """Answer as if a fine-tuned model were gone; nothing changes."""
    name = _existing(request)
    return json_response({"id": name, "object": "model", "deleted": True})


def _existing(request: web.Request) -> str:
    """Return the name of the model that the path names.

    Raises:
        ApiError: It does not exist.
    """
    name = request.match_info["model"]
    if name.startswith(UNKNOWN_MODEL_PREFIX):
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"The model '{name}' does not exist",
            param="model",
            code="model_not_found",
        )
    return name


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}


ROUTES: Final = (
    web.get("/v1/models", list_models),
    web.get("/v1/models/{model}", get_model),
    web.delete("/v1/models/{model}", delete_model),
)
