"""Checking who asks: the bearer key, and the model names that stand for an error."""

from __future__ import annotations

import hashlib
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin.app_state import REQUEST_ID, SERVED
from keyturn_cli.standin.errors import (
    ApiError,
    incorrect_key,
    missing_key,
    missing_scopes,
    several_keys,
)
from keyturn_cli.standin.named_errors import error_of_key, error_of_model, mask_key
from keyturn_cli.standin.received_body import BODY
from keyturn_cli.standin.standin_keys import (
    SERVED_BEFORE_REVOCATION,
    KeyKind,
    check_admin_key,
    check_key,
)

_ERROR_MODEL: Final = "error-"
_ORGANIZATION: Final = "/v1/organization/"
# How browsers, which can set no header, send the key when they open a WebSocket.
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."


def refuse_unless_served(request: web.Request) -> None:
    """Let *request* pass if its key works.

    A model named after an error gives that error whatever the key is.

    Raises:
        ApiError: OpenAI would not serve the request.
    """
    if len(request.headers.getall(hdrs.AUTHORIZATION, [])) > 1:
        raise several_keys()
    raw_key = sent_key(request)
    if not raw_key:
        raise missing_key()
    request_id = request[REQUEST_ID]
    model = request[BODY].model() or request.query.get("model", "")
    if model.startswith(_ERROR_MODEL) and (error := error_of_model(model, raw_key, request_id)):
        raise error
    kind = _kind_for(request, raw_key.encode("utf-8", "surrogateescape"))
    if kind is None or (kind is KeyKind.SOONREVOKED and _is_revoked_by_now(request, raw_key)):
        raise incorrect_key(mask_key(raw_key))
    if error := error_of_key(kind, raw_key, request_id):
        raise error


def _kind_for(request: web.Request, raw: bytes) -> KeyKind | None:
    """Return the kind of *raw*, None for no key; admin keys and others serve for different things.

    Raises:
        ApiError: It is a key of the other sort.
    """
    kind, admin_kind = check_key(raw), check_admin_key(raw)
    if request.path.startswith(_ORGANIZATION):
        if kind is not None:
            raise missing_scopes("api.usage.read")
        return admin_kind
    if admin_kind is not None:
        raise missing_scopes()
    return kind


def sent_key(request: web.Request) -> str:
    """Return the key of *request*, or an empty string."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
    for protocol in offered:
        if protocol.strip().startswith(_KEY_SUBPROTOCOL):
            return protocol.strip().removeprefix(_KEY_SUBPROTOCOL)
    return ""


def key_error(request: web.Request) -> ApiError:
    """Return the error that breaks off a stream and shows part of the key of *request*."""
    return incorrect_key(mask_key(sent_key(request)))


def _is_revoked_by_now(request: web.Request, raw_key: str) -> bool:
    served = request.app[SERVED]
    digest = hashlib.sha256(raw_key.encode()).digest()
    served[digest] += 1
    return served[digest] > SERVED_BEFORE_REVOCATION
