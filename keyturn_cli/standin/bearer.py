"""Checking who asks: the bearer key, and the model names that stand for an error."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from aiohttp import hdrs, web

from keyturn_cli.standin.app_state import SERVED
from keyturn_cli.standin.errors import (
    error_of_key,
    error_of_model,
    incorrect_key,
    missing_key,
    several_keys,
)
from keyturn_cli.standin.standin_keys import SERVED_BEFORE_REVOCATION, KeyKind, check_key

_ERROR_MODEL: Final = b'"error-'


def refuse_unless_served(request: web.Request, body: bytes, request_id: str) -> None:
    """Let *request* pass if its key works.

    A model named after an error gives that error whatever the key is.

    Raises:
        ApiError: OpenAI would not serve the request.
    """
    authorizations = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(authorizations) > 1:
        raise several_keys()
    raw_key = _bearer(authorizations[0]) if authorizations else ""
    if not raw_key:
        raise missing_key()
    if _ERROR_MODEL in body and (error := error_of_model(_model(body), request_id)):
        raise error
    kind = check_key(raw_key.encode("utf-8", "surrogateescape"))
    if kind is None:
        raise incorrect_key(raw_key)
    if kind is KeyKind.SOONREVOKED and _is_revoked_by_now(request, raw_key):
        raise incorrect_key(raw_key)
    if error := error_of_key(kind, raw_key, request_id):
        raise error


def _is_revoked_by_now(request: web.Request, raw_key: str) -> bool:
    served = request.app[SERVED]
    digest = hashlib.sha256(raw_key.encode()).digest()
    served[digest] += 1
    return served[digest] > SERVED_BEFORE_REVOCATION


def _bearer(authorization: str) -> str:
    """Return the token of a bearer header, or an empty string."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _model(body: bytes) -> str:
    """Return the model of a JSON body, or an empty string if there is none."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    model = fields.get("model") if isinstance(fields, dict) else None
    return model if isinstance(model, str) else ""
