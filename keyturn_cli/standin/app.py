"""The routes of the API, and what every request and answer goes through."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPMethod, HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin import (
    anything,
    assistants,
    batches,
    chat,
    completions,
    containers,
    control,
    conversations,
    embeddings,
    evals,
    files,
    fine_tuning,
    images,
    models,
    moderations,
    organization,
    realtime,
    realtime_calls,
    responses,
    runs,
    speech,
    stored_chats,
    threads,
    transcriptions,
    uploads,
    vector_store_batches,
    vector_stores,
)
from keyturn_cli.standin.answer import json_response, new_id
from keyturn_cli.standin.app_state import CLOCK, REQUEST_ID, SERVED, START_SECONDS
from keyturn_cli.standin.bearer import refuse_unless_served
from keyturn_cli.standin.errors import ApiError, invalid_url, server_failed
from keyturn_cli.standin.progress import PACE, PROGRESS, Pace, Progress
from keyturn_cli.standin.received_body import BODY, ReceivedBody
from keyturn_cli.standin.record import RECORD, RequestRecord, write_down
from keyturn_cli.standin.store import STORE, Store
from keyturn_cli.standin.usage_counts import USAGE, UsageCounts
from svc_runtime.clock import Clock

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RESOURCES: Final = (
    anything,
    assistants,
    batches,
    chat,
    completions,
    containers,
    control,
    conversations,
    embeddings,
    evals,
    files,
    fine_tuning,
    images,
    models,
    moderations,
    organization,
    realtime,
    realtime_calls,
    responses,
    runs,
    speech,
    stored_chats,
    threads,
    transcriptions,
    uploads,
    vector_store_batches,
    vector_stores,
)
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
    outlives its client, and with `auto_decompress=False`, or the record has the digest
    of a compressed body's content in place of the body's own.

    Args:
        clock: Dates the objects and measures the processing time.
        record: Where every request is written down, if anywhere.
    """
    app = web.Application(middlewares=[_front])
    app[CLOCK] = clock
    app[SERVED] = Counter()
    app[STORE] = Store()
    app[PROGRESS] = Progress()
    app[PACE] = Pace()
    app[USAGE] = UsageCounts()
    app[RECORD] = record
    app.on_response_prepare.append(_add_headers)
    for resource in _RESOURCES:
        app.add_routes(resource.ROUTES)
    app.router.add_route("*", "/{rest:.*}", _refuse_url)
    return app


@web.middleware
async def _front(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Count and answer; every failure leaves in OpenAI's shape."""
    request[REQUEST_ID] = new_id("req_")
    request[START_SECONDS] = request.app[CLOCK].monotonic()
    request[BODY] = ReceivedBody()
    is_control = request.path.startswith(control.CONTROL_PREFIX)
    answer = handler if is_control else _counted(_checked(handler))
    try:
        return await answer(request)
    except ApiError as error:
        return json_response(error.body(), error.status, error.headers)
    except ConnectionError:
        raise  # The client is gone: nobody to answer, and no fault.
    except Exception as error:  # noqa: BLE001  its text may quote the request, so it stops here
        where = traceback.extract_tb(error.__traceback__)[-1]
        _LOG.error("%s at %s:%s", type(error).__name__, where.filename, where.lineno)
        failure = server_failed(request[REQUEST_ID])
        return json_response(failure.body(), failure.status)


def _checked(handler: _Handler) -> _Handler:
    async def check(request: web.Request) -> web.StreamResponse:
        """Receive, record and check the key; a WebSocket is recorded when it has ended."""
        is_websocket = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        try:
            await request[BODY].receive(request)
            if not is_websocket:
                write_down(request)
            refuse_unless_served(request)
            return await handler(request)
        finally:
            write_down(request)

    return check


def _counted(handler: _Handler) -> _Handler:
    async def count(request: web.Request) -> web.StreamResponse:
        progress = request.app[PROGRESS]
        progress.requests += 1
        progress.open_requests += 1
        try:
            response = await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            progress.aborted += 1
            raise
        finally:
            progress.open_requests -= 1
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            progress.bytes_written += len(response.body)
        return response

    return count


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
