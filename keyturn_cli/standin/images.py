"""/v1/images: generation, edits and variations; every image is one black dot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import event, send_events, send_json
from keyturn_cli.standin.app_state import unix_time
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.request_body import RequestBody
from keyturn_cli.standin.tokens import count_tokens
from keyturn_cli.standin.usage_counts import count_served

_DEFAULT_MODEL: Final = "gpt-image-1"
_MAX_IMAGES: Final = 10
_OUTPUT_TOKENS: Final = 272  # of one image, as of a small square one of OpenAI's
_INPUT_IMAGE_TOKENS: Final = 194
# A PNG of one pixel.
_PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
_LOOK: Final = {
    "background": "opaque",
    "output_format": "png",
    "quality": "low",
    "size": "1024x1024",
}


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be made: *kind* is the start of the names of a stream's events."""

    kind: str
    model: str
    prompt: str
    images: int = 1
    input_images: int = 0
    streams: bool = False
    as_url: bool = False


async def generate_images(request: web.Request) -> web.StreamResponse:
    """Answer a request for new images."""
    body = RequestBody.read(request)
    order = _Order(
        kind="image_generation",
        model=body.model(default=_DEFAULT_MODEL),
        prompt=body.text("prompt"),
        images=body.count("n", _MAX_IMAGES) or 1,
        streams=body.flag("stream"),
        as_url=body.optional("response_format") == "url",
    )
    return await _answer(request, order)


async def edit_images(request: web.Request) -> web.StreamResponse:
    """Answer a multipart request to change images."""
    form = request[BODY].required_form("image")
    form.required("image")
    order = _Order(
        kind="image_edit",
        model=form.text("model") or _DEFAULT_MODEL,
        prompt=form.required("prompt").content.text(),
        images=form.count("n"),
        input_images=sum(part.name in ("image", "image[]") for part in form.parts),
        streams=form.text("stream") == "true",
        as_url=form.text("response_format") == "url",
    )
    return await _answer(request, order)


async def vary_image(request: web.Request) -> web.StreamResponse:
    """Answer a multipart request for variations of an image."""
    form = request[BODY].required_form("image")
    form.required("image")
    model = form.text("model") or "dall-e-2"
    images = form.count("n")
    as_url = form.text("response_format") != "b64_json"
    return await _answer(request, _Order("", model, "", images, 1, as_url=as_url))


async def _answer(request: web.Request, order: _Order) -> web.StreamResponse:
    created = unix_time(request)
    manner = Manner.of_model(order.model)
    count_served(request, "images")
    if order.streams:
        return await send_events(request, _events(order, created), manner)
    image = {"url": "https://images.invalid/1.png"} if order.as_url else {"b64_json": _PNG}
    payload = {"created": created, "data": [image] * order.images, **_LOOK, "usage": _usage(order)}
    return await send_json(request, payload, manner)


def _events(order: _Order, created: int) -> Iterator[bytes]:
    image = {"b64_json": _PNG, "created_at": created, **_LOOK}
    partial = f"{order.kind}.partial_image"
    yield event({"type": partial, **image, "partial_image_index": 0}, partial)
    for _ in range(order.images):
        completed = f"{order.kind}.completed"
        yield event({"type": completed, **image, "usage": _usage(order)}, completed)


def _usage(order: _Order) -> dict[str, object]:
    text_tokens = count_tokens(order.prompt)
    image_tokens = order.input_images * _INPUT_IMAGE_TOKENS
    output_tokens = order.images * _OUTPUT_TOKENS
    return {
        "input_tokens": text_tokens + image_tokens,
        "input_tokens_details": {"text_tokens": text_tokens, "image_tokens": image_tokens},
        "output_tokens": output_tokens,
        "total_tokens": text_tokens + image_tokens + output_tokens,
    }


ROUTES: Final = (
    web.post("/v1/images/generations", generate_images),
    web.post("/v1/images/edits", edit_images),
    web.post("/v1/images/variations", vary_image),
)
