"""What of a request and its answer must be equal, whichever way they went, and what may differ."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import Any, Final

from tests.e2e.sdk_wire import Answer, Request, without_news

# Of a request. The app's own credential and the choice of the key do not arrive at all.
MADE_ANEW_FOR_OPENAI: Final = frozenset(
    {
        "accept-encoding",  # `gzip` where the app takes it, else `identity`
        "authorization",  # the key in place of the app's proof
        "connection",  # the gateway has its own
        "host",  # OpenAI's in place of the gateway's
    }
)
NEVER_SENT_ON: Final = frozenset(
    {
        "cookie",
        "forwarded",
        "openai-organization",  # the key decides, unless the grant lets the app choose
        "openai-project",
        "origin",
        "proxy-authorization",
        "referer",
        "te",
        "x-api-key",
        "x-forwarded-for",
        "x-of-the-app",
        "x-request-id",
    }
)
# Of an answer.
NEVER_PASSED_BACK: Final = frozenset(
    {
        "alt-svc",
        "cf-ray",
        "openai-organization",  # says whose account the key is of
        "server",  # the gateway is another
        "set-cookie",
        "vary",
        "x-not-listed",
    }
)
RECEIPT: Final = frozenset(
    f"x-keyturn-{name}" for name in ("grant", "key", "key-version", "lease", "request-id")
)
# Other with each answer, also without a gateway.
OF_ONE_ANSWER: Final = frozenset({"date", "openai-processing-ms", "x-request-id"})
# Of an error: it is searched for an echo of the key, and then sent in pieces of the gateway's.
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
# What a streamed completion that does not ask for its usage gets, right after its first brace.
ASKING_FOR_USAGE: Final = b'"stream_options":{"include_usage":true},'
_COMPLETIONS: Final = ("/v1/chat/completions", "/v1/completions")


def shown(request: Request, body: bytes, *, is_direct: bool) -> dict[str, Any]:
    """Return of a request what must be equal; its *body*, as sent, must have arrived."""
    added = 0
    if not is_direct and _is_asked_more(request.target, body):
        body, added = body[:1] + ASKING_FOR_USAGE + body[1:], len(ASKING_FOR_USAGE)
    assert request.body_sha256 == hashlib.sha256(body).hexdigest()
    headers = [
        (name, str(int(value) - added) if name == "content-length" else value)
        for name, value in request.headers
        if name not in MADE_ANEW_FOR_OPENAI | NEVER_SENT_ON
        and (name, value) != ("content-length", "0")  # as good as no length
    ]
    if not is_direct:
        assert not {name for name, _ in request.headers} & NEVER_SENT_ON
    return {
        "method": request.method,
        "target": without_news(request.target.encode()),
        "headers": sorted(headers),
        "body": without_news(body.replace(ASKING_FOR_USAGE, b"", added and 1)),
    }


def shown_answer(answer: Answer, *, is_direct: bool) -> dict[str, Any]:
    """Return of an answer what must be equal; one through the gateway bears its receipt."""
    names = {name for name, _ in answer.headers}
    if is_direct:
        assert not names & RECEIPT
    else:
        assert names >= RECEIPT
        assert not names & (NEVER_PASSED_BACK - {"server"})
    is_error = answer.status >= HTTPStatus.BAD_REQUEST
    ignored = NEVER_PASSED_BACK | RECEIPT | (FRAMING if is_error else frozenset())
    return {
        "status": answer.status,
        "headers": sorted(
            (name, "" if name in OF_ONE_ANSWER else without_news(value.encode()).decode())
            for name, value in answer.headers
            if name not in ignored
        ),
        "body": without_news(bytes(answer.body)),
    }


def shown_handshake(request: Request) -> dict[str, Any]:
    """Return of a WebSocket what must be equal, with the digests of its messages."""
    made_anew = MADE_ANEW_FOR_OPENAI | {"sec-websocket-key"}
    return {
        "method": request.method,
        "target": request.target,
        "headers": sorted(pair for pair in request.headers if pair[0] not in made_anew),
        "messages": request.messages,
    }


def _is_asked_more(target: str, body: bytes) -> bool:
    if target not in _COMPLETIONS or b'"stream"' not in body:
        return False
    parameters = json.loads(body)
    return parameters["stream"] is True and "stream_options" not in parameters
