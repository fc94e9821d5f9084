"""/v1/anything/...: answers every request with what arrived of it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import send_json
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.record import decoded_headers

# What stands before OpenAI adds these; they concern nobody behind a gateway.
_HEADERS: Final = {
    "set-cookie": "__cf_bm=standin; path=/; HttpOnly",
    "cf-ray": "0123456789abcdef-STA",
    "alt-svc": 'h3=":443"; ma=86400',
    "x-not-listed": "standin",
}


async def mirror(request: web.Request) -> web.StreamResponse:
    """Answer with the request's method, path, query, headers and body digest.

    The authorization header is left out. The answer has headers that no client needs.
    """
    path, mark, query = request.raw_path.partition("?")
    body = request[BODY]
    payload = {
        "object": "standin.request",
        "method": request.method,
        "path": path,
        "query": query if mark else None,
        "headers": [pair for pair in decoded_headers(request) if pair[0] != "authorization"],
        "body_bytes": body.size,
        "body_sha256": body.sha256,
    }
    response = await send_json(request, payload, Manner.of_model(body.model()))
    response.headers.extend(_HEADERS)
    return response


ROUTES: Final = (
    web.route("*", "/v1/anything", mirror),
    web.route("*", "/v1/anything/{rest:.*}", mirror),
)
