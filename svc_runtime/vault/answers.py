"""What an answer of Vault means: a JSON object, or one of our errors without the body."""

from __future__ import annotations

import json
from typing import Any

from svc_runtime.vault.errors import (
    VaultAnswerError,
    VaultBadRequestError,
    VaultConflictError,
    VaultNotFoundError,
    VaultPermissionError,
    VaultUnavailableError,
)

JSONObject = dict[str, Any]
"""What Vault answers. `Any`, because each caller checks the few members that it reads."""

_REDIRECT = 300
_BAD_REQUEST = 400
_FORBIDDEN = 403
_NOT_FOUND = 404
_TOO_LARGE = 413
_SERVER_ERROR = 500
_UNAVAILABLE = 503

# Texts of Vault's and OpenBao's own source, lower case; their HTTP statuses alone do not decide.
_CAS_MISMATCH = "check-and-set parameter did not match"
_NO_SUCH_MOUNT = "no handler for route"
# What both say before they audit a request or act on it, as the only error: within others, such a
# text tells how far a request came. "no active Vault instance found" is none of them: it is said
# also after forwarding failed, and then the leader may have acted.
_NOT_SERVING = {
    (_UNAVAILABLE, "vault is sealed"),
    (_UNAVAILABLE, "node is not active"),
    (_SERVER_ERROR, "local node not active but active cluster node not found"),
    (_SERVER_ERROR, "active context canceled after getting state lock"),
}
_KV_STILL_UPGRADING = "upgrading from non-versioned to versioned data"


def parse_object(body: bytes) -> JSONObject | None:
    """Return the JSON object in *body*, or None when it is not one.

    Raises nothing: a `JSONDecodeError` would carry the whole body.
    """
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def error_for(status: int, body: bytes) -> type[VaultAnswerError | VaultUnavailableError]:
    """Choose the error for an answer that is not a success.

    Args:
        status: HTTP status, not 2xx.
        body: The answer's body. Only its list `errors` is looked at.

    Returns:
        A class, never an instance, so that nothing of the body can travel in it. Whatever is not
        known to be an answer to the request's content is `VaultUnavailableError`, so that an
        outage, a standby, a seal, a quota or a missing mount never looks like a refusal.
    """
    if status == _FORBIDDEN:
        return VaultPermissionError
    if status == _TOO_LARGE:
        return VaultBadRequestError
    if status == _NOT_FOUND:
        # A mount that is gone is our outage; only a missing entry is the caller's.
        is_mounted = _NO_SUCH_MOUNT not in _errors_text(body)
        return VaultNotFoundError if is_mounted else VaultUnavailableError
    if status == _BAD_REQUEST:
        text = _errors_text(body)
        if _KV_STILL_UPGRADING in text:
            return VaultUnavailableError
        return VaultConflictError if _CAS_MISMATCH in text else VaultBadRequestError
    return VaultUnavailableError


def was_not_processed(status: int, body: bytes) -> bool:
    """Return whether an answer says that Vault has not acted on the request.

    That is so where the node that answers is sealed, is about to be, or is not the leader and
    knows of none.

    Args:
        status: HTTP status.
        body: The answer's body. Only its list `errors` is looked at.
    """
    return (status, _errors_text(body)) in _NOT_SERVING


def is_of_the_node(status: int) -> bool:
    """Return whether an answer tells of the node's state, so that another may answer better.

    A redirect is such an answer: it comes from a node that cannot reach the leader.

    Args:
        status: HTTP status.
    """
    return _REDIRECT <= status < _BAD_REQUEST or status >= _SERVER_ERROR


def _errors_text(body: bytes) -> str:
    errors = (parse_object(body) or {}).get("errors")
    if not isinstance(errors, list):
        return ""
    return "\n".join(str(error) for error in errors).lower()
