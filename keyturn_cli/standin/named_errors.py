"""The errors that the kind of a key or the name of a model asks for."""

from __future__ import annotations

from typing import Final

from keyturn_cli.standin.errors import (
    ApiError,
    incorrect_key,
    invalid_parameter,
    ip_not_authorized,
    missing_scopes,
    overloaded,
    quota_spent,
    rate_limited,
    server_failed,
)
from keyturn_cli.standin.standin_keys import KeyKind

_SHOWN_AT_START: Final = 8  # characters of a refused key that OpenAI echoes
_SHOWN_AT_END: Final = 4
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"


def mask_key(raw_key: str) -> str:
    """Hide all of *raw_key* but its first 8 and last 4 characters, as OpenAI does.

    A key of up to 12 characters, which would show whole, is hidden whole.
    """
    hidden = len(raw_key) - _SHOWN_AT_START - _SHOWN_AT_END
    if hidden <= 0:
        return "*" * len(raw_key)
    return raw_key[:_SHOWN_AT_START] + "*" * hidden + raw_key[-_SHOWN_AT_END:]


def abbreviate_key(raw_key: str, mark: str) -> str:
    """Put *mark* in place of the middle of *raw_key*, as others of OpenAI's errors do."""
    if len(raw_key) <= _SHOWN_AT_START + _SHOWN_AT_END:
        return mark
    return raw_key[:_SHOWN_AT_START] + mark + raw_key[-_SHOWN_AT_END:]


def error_of_key(kind: KeyKind, raw_key: str, request_id: str) -> ApiError | None:
    """Return the error that a key of *kind* always gets, or None if it works."""
    errors = {
        KeyKind.RATELIMITED: rate_limited(),
        KeyKind.BROKE: quota_spent(),
        KeyKind.FAILING: server_failed(request_id),
        KeyKind.OVERLOADED: overloaded(request_id),
        KeyKind.REVOKED: incorrect_key(mask_key(raw_key)),
        KeyKind.FORBIDDEN: missing_scopes(),
        KeyKind.IPBLOCKED: ip_not_authorized(),
    }
    return errors.get(kind)


def error_of_model(model: str, raw_key: str, request_id: str) -> ApiError | None:
    """Return the error that a model named after an error always gives, or None.

    Those named `-echo` repeat part of *raw_key*, each in another of OpenAI's spellings.
    """
    errors = {
        "error-400": invalid_parameter(
            "Invalid value: this model refuses every request.", "model", "invalid_value"
        ),
        "error-429": rate_limited(),
        "error-429-retry": rate_limited({"retry-after-ms": "10", "x-should-retry": "true"}),
        "error-429-final": rate_limited({"x-should-retry": "false"}),
        "error-500": server_failed(request_id),
        "error-503": overloaded(request_id),
        "error-401-echo": incorrect_key(mask_key(raw_key)),
        "error-401-echo-dots": incorrect_key(abbreviate_key(raw_key, "...")),
        "error-401-echo-ellipsis": incorrect_key(abbreviate_key(raw_key, _ELLIPSIS)),
        "error-401-echo-bearer": incorrect_key(f"Bearer {mask_key(raw_key)}"),
        "error-500-echo": server_failed(request_id, f"\nAPI key: '{mask_key(raw_key)}'"),
        "error-500-echo-ellipsis": server_failed(
            request_id, f" key={abbreviate_key(raw_key, _ELLIPSIS)}"
        ),
    }
    return errors.get(model)
