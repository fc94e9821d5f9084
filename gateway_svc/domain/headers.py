"""Which headers pass, both ways. What is not listed does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = tuple[tuple[str, str], ...]
"""Header names in lower case, and values."""

# Towards OpenAI. Never: credentials, cookies, hop-by-hop and forwarding headers, the choice of
# organisation or project (the key decides), `accept-encoding` (metering reads the answer).
_REQUEST: Final = frozenset(
    {"accept", "accept-language", "content-type", "idempotency-key", "openai-beta", "user-agent"}
)
_REQUEST_PREFIX: Final = "x-stainless-"  # the OpenAI SDKs' telemetry and retry count

# From OpenAI. Never: `set-cookie`, and `openai-organization` and `openai-project`, which say
# whose account the key is of.
_RESPONSE: Final = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-type",
        "openai-model",
        "openai-processing-ms",
        "openai-version",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    }
)
_RESPONSE_PREFIX: Final = "x-ratelimit-"


def may_pass_to_openai(name: str) -> bool:
    """Tell whether the app's header *name* is sent on."""
    lower = name.lower()
    return lower in _REQUEST or lower.startswith(_REQUEST_PREFIX)


def request_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return those of the app's headers that are sent on."""
    return tuple((name.lower(), value) for name, value in headers if may_pass_to_openai(name))


def response_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return those of OpenAI's headers that the app gets."""
    return tuple(
        (name.lower(), value)
        for name, value in headers
        if name.lower() in _RESPONSE or name.lower().startswith(_RESPONSE_PREFIX)
    )


def header(headers: Headers, name: str) -> str:
    """Return the first value of *name*, in lower case; empty when there is none."""
    return next((value for key, value in headers if key == name), "")
