"""POST /v1/moderations: finds nothing to object to."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import new_id, send_json
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.request_body import RequestBody, wrong_type
from keyturn_cli.standin.usage_counts import count_served

_TEXT_ONLY_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
_TEXT_AND_IMAGE_CATEGORIES: Final = (
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "violence",
    "violence/graphic",
)
_CATEGORIES: Final = (*_TEXT_ONLY_CATEGORIES, *_TEXT_AND_IMAGE_CATEGORIES)


async def create_moderation(request: web.Request) -> web.StreamResponse:
    """Answer a moderation request with one result per text, or one for mixed parts."""
    body = RequestBody.read(request)
    model = body.model(default="omni-moderation-latest")
    value = body.required("input")
    if not isinstance(value, str | list):
        raise wrong_type("input", "one of a string or array", value)
    has_parts = isinstance(value, list) and any(isinstance(part, dict) for part in value)
    results = 1 if isinstance(value, str) or has_parts else len(value)
    count_served(request, "moderations")
    payload: dict[str, object] = {
        "id": new_id("modr-"),
        "model": model,
        "results": [_result(has_image=_has_image(value)) for _ in range(results)],
    }
    return await send_json(request, payload, Manner.of_model(model))


def _has_image(value: str | list[object]) -> bool:
    return isinstance(value, list) and any(
        isinstance(part, dict) and part.get("type") == "image_url" for part in value
    )


def _result(*, has_image: bool) -> dict[str, object]:
    text = ["text"]
    text_and_image = ["text", "image"] if has_image else text
    return {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": dict.fromkeys(_TEXT_ONLY_CATEGORIES, text)
        | dict.fromkeys(_TEXT_AND_IMAGE_CATEGORIES, text_and_image),
    }


ROUTES: Final = (web.post("/v1/moderations", create_moderation),)
