"""Which headers pass, both ways. What is not listed does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Headers = tuple[tuple[str, str], ...]
"""Header names in lower case, and values."""

# Towards OpenAI. Never: credentials, cookies, hop-by-hop and forwarding headers, the choice of
# organisation or project (the key decides), `accept-encoding` (metering reads the answer).
_REQUEST: Final = frozenset(
    {"accept", "accept-language", "content-type", "idempotency-key", "openai-beta", "user-agent"}
)
# The OpenAI SDKs' telemetry and retry count.
_REQUEST_FAMILY: Final = re.compile(r"x-stainless-[a-z0-9-]{1,64}")

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
_RESPONSE_FAMILY: Final = re.compile(r"x-ratelimit-[a-z0-9-]{1,64}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,4096}")


def may_pass_to_openai(name: str) -> bool:
    """Tell whether the app's header *name* is sent on."""
    lower = name.lower()
    return lower in _REQUEST or _REQUEST_FAMILY.fullmatch(lower) is not None


def request_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return those of the app's headers that are sent on."""
    return tuple((name.lower(), value) for name, value in headers if may_pass_to_openai(name))


def response_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return those of OpenAI's headers that the app gets.

    A value that is not plain text is left out: gRPC could not carry it.
    """
    return tuple(
        (name.lower(), value)
        for name, value in headers
        if (name.lower() in _RESPONSE or _RESPONSE_FAMILY.fullmatch(name.lower()))
        and _VALUE.fullmatch(value)
    )


def header(headers: Headers, name: str) -> str:
    """Return the first value of *name*, in lower case; empty when there is none."""
    return next((value for key, value in headers if key == name), "")
