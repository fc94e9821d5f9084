"""The routes of the API, and what every request and answer goes through."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPMethod, HTTPStatus
from typing import Final

from aiohttp import web

from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import CLOCK, REQUEST_ID, SERVED, START_SECONDS
from keyturn_cli.standin.bearer import refuse_unless_served
from keyturn_cli.standin.chat import create_chat_completion
from keyturn_cli.standin.embeddings import create_embeddings
from keyturn_cli.standin.errors import ApiError, body_too_large, invalid_url, server_failed
from keyturn_cli.standin.models import get_model, list_models
from keyturn_cli.standin.moderations import create_moderation
from keyturn_cli.standin.record import RequestRecord
from keyturn_cli.standin.responses import create_response
from svc_runtime.clock import Clock

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # Well above what a gateway lets through.
_RATE_LIMIT_HEADERS: Final = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "199000",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "300ms",
}

_LOG: Final = logging.getLogger(__name__)


def make_app(clock: Clock, record: RequestRecord | None = None) -> web.Application:
    """Make the application.

    Serve it with `handler_cancellation=True`, or a request to a model that hangs
    outlives its client.

    Args:
        clock: Dates the objects and measures the processing time.
        record: Where every request is written down, if anywhere.
    """
    app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[_front(record)])
    app[CLOCK] = clock
    app[SERVED] = Counter()
    app.on_response_prepare.append(_add_headers)
    app.router.add_post("/v1/chat/completions", create_chat_completion)
    app.router.add_post("/v1/responses", create_response)
    app.router.add_post("/v1/embeddings", create_embeddings)
    app.router.add_post("/v1/moderations", create_moderation)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{model}", get_model)
    app.router.add_route("*", "/{rest:.*}", _refuse_url)
    return app


def _front(record: RequestRecord | None) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def front(request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Record, check the key, answer; every failure leaves in OpenAI's shape."""
        request_id = new_id("req_")
        request[REQUEST_ID] = request_id
        request[START_SECONDS] = request.app[CLOCK].monotonic()
        try:
            body = await request.read()
            if record is not None:
                record.add(request, body, request_id)
            refuse_unless_served(request, body, request_id)
            return await handler(request)
        except ApiError as error:
            return json_response(error.body(), error.status, error.headers)
        except web.HTTPRequestEntityTooLarge:
            failure = body_too_large()
            return json_response(failure.body(), failure.status)
        except ConnectionError:
            raise  # The client is gone: nobody to answer, and no fault.
        except Exception as error:  # noqa: BLE001  its text may quote the request, so it stops here
            where = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.error("%s at %s:%s", type(error).__name__, where.filename, where.lineno)
            failure = server_failed(request_id)
            return json_response(failure.body(), failure.status)

    return front


async def _refuse_url(request: web.Request) -> web.StreamResponse:
    raise invalid_url(request.method, request.path)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every answer of OpenAI, before they are sent."""
    seconds = request.app[CLOCK].monotonic() - request[START_SECONDS]
    response.headers["x-request-id"] = request[REQUEST_ID]
    response.headers["openai-processing-ms"] = str(round(seconds * 1000))
    response.headers["openai-version"] = "2020-10-01"
    response.headers["openai-organization"] = "org-standin"
    if request.method == HTTPMethod.POST and response.status != HTTPStatus.UNAUTHORIZED:
        for name, value in _RATE_LIMIT_HEADERS.items():
            response.headers.setdefault(name, value)
