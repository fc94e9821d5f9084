"""Which headers pass, both ways. What is not listed does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Headers = tuple[tuple[str, str], ...]
"""Header names in lower case, and values."""

# Towards OpenAI. Never: credentials, cookies, hop-by-hop and forwarding headers.
_REQUEST: Final = frozenset(
    {
        "accept",
        "accept-language",
        "content-encoding",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "range",
        "user-agent",
        "x-client-request-id",
    }
)
# OpenAI's own, and its SDKs' telemetry and retry count.
_REQUEST_FAMILY: Final = re.compile(r"(?:openai|x-stainless)-[a-z0-9-]{1,64}")
# Whose account is billed: the key decides, unless its owner leaves the choice to the app.
_ACCOUNT: Final = frozenset({"openai-organization", "openai-project"})
ACCEPT_ENCODING: Final = "accept-encoding"
_NOT_WANTED: Final = re.compile(r"q=0(?:\.0{0,3})?")

# From OpenAI. Never: `set-cookie`, those that say whose account the key is of, and hop-by-hop
# headers. A `location` only below /v1/: an app that followed another would take its token there.
_RESPONSE: Final = frozenset(
    {
        "accept-ranges",
        "allow",
        "cache-control",
        "content-disposition",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    }
)
_RESPONSE_FAMILY: Final = re.compile(r"(?:openai|x-ratelimit)-[a-z0-9-]{1,64}")
_LOCATION: Final = re.compile(r"/v1/[A-Za-z0-9._~/-]{1,512}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,4096}")


def may_pass_to_openai(name: str) -> bool:
    """Tell whether the app's header *name* is sent on, or may be."""
    lower = name.lower()
    return lower in _REQUEST or _REQUEST_FAMILY.fullmatch(lower) is not None


def request_headers(
    headers: Iterable[tuple[str, str]], *, may_choose_account: bool = False
) -> Headers:
    """Return those of the app's headers that are sent on.

    Args:
        headers: The app's.
        may_choose_account: Whether it may name OpenAI's organisation and project.
    """
    return tuple(
        (name.lower(), value)
        for name, value in headers
        if may_pass_to_openai(name) and (may_choose_account or name.lower() not in _ACCOUNT)
    )


def accepted_encoding(headers: Iterable[tuple[str, str]]) -> str:
    """Return which encoding of the answer to ask OpenAI for: `gzip` where the app takes it."""
    accepted = ",".join(value for name, value in headers if name.lower() == ACCEPT_ENCODING)
    for choice in accepted.lower().split(","):
        coding, _, weight = (part.strip() for part in choice.partition(";"))
        if coding in {"gzip", "x-gzip"} and not _NOT_WANTED.fullmatch(weight):
            return "gzip"
    return "identity"


def response_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return those of OpenAI's headers that the app gets, except for the body's form.

    A value that is not plain text is left out: gRPC could not carry it.
    """
    return tuple(
        (name.lower(), value)
        for name, value in headers
        if _passes_to_app(name.lower(), value) and _VALUE.fullmatch(value)
    )


def _passes_to_app(name: str, value: str) -> bool:
    if name == "location":
        return _LOCATION.fullmatch(value) is not None
    return name not in _ACCOUNT and (
        name in _RESPONSE or _RESPONSE_FAMILY.fullmatch(name) is not None
    )


def header(headers: Headers, name: str) -> str:
    """Return the first value of *name*, in lower case; empty when there is none."""
    return next((value for key, value in headers if key == name), "")
