"""The parts of an HTTP request that come from an app, checked so that they cannot become others."""

from __future__ import annotations

import re
from typing import Final

from svc_runtime.service_error import InvalidFieldError

# All that exist but CONNECT and TRACE, which are for proxies.
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")
METHOD_RULE: Final = f"must be one of {', '.join(METHODS)}"
_MAX_QUERY: Final = 8192  # characters
# RFC 3986 `query`, and the brackets that OpenAI's own SDKs leave unescaped.
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_MAX_HEADER: Final = 4096  # characters
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


def check_method(unverified: str, field: str) -> str:
    """Return *unverified* if it is a method that passes.

    Raises:
        InvalidFieldError: It is not.
    """
    if unverified not in METHODS:
        raise InvalidFieldError(field, METHOD_RULE)
    return unverified


def check_query(unverified: str, field: str) -> str:
    """Return *unverified* if it is a query string, percent-encoded as it is to be sent.

    Raises:
        InvalidFieldError: It is not.
    """
    if len(unverified) > _MAX_QUERY or not _QUERY.fullmatch(unverified):
        raise InvalidFieldError(field, "must be a percent-encoded query of at most 8192 characters")
    return unverified


def check_header_value(unverified: str, field: str) -> str:
    """Return *unverified* if it is a header's value.

    Raises:
        InvalidFieldError: It holds a line break or another character that may end a header.
    """
    if len(unverified) > _MAX_HEADER or not _HEADER_VALUE.fullmatch(unverified):
        raise InvalidFieldError(field, "must be at most 4096 printable ASCII characters")
    return unverified
