"""Which of an app's headers Envoy must take off before it sends the request to OpenAI."""

from __future__ import annotations

from typing import Final

from gateway_svc.domain.headers import Headers, request_headers

# How Envoy frames and routes the request. Without them it would be another one.
_TRANSPORT: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "x-forwarded-proto",
        "x-request-id",
    }
)
_PSEUDO: Final = ":"
# Of Envoy AI Gateway, whose own filters write them on the way.
_ROUTING: Final = "x-ai-eg-"


def headers_to_remove(
    headers: Headers, *, key_header: str, may_choose_account: bool
) -> tuple[str, ...]:
    """Return the names of the headers that OpenAI must not see, sorted.

    All but those of the gateway's allow-list: credentials, cookies, our own, and `x-envoy-*`, by
    which an app could have Envoy repeat its request on one lease.

    Args:
        headers: The app's, by their names in lower case.
        key_header: Where the key goes. It is replaced: Envoy removes after it has set.
        may_choose_account: Whether the app may name OpenAI's organisation and project.
    """
    passing = {name for name, _ in request_headers(headers, may_choose_account=may_choose_account)}
    return tuple(
        sorted(
            {
                name
                for name, _ in headers
                if name not in passing
                and name not in _TRANSPORT
                and name != key_header
                and not name.startswith((_PSEUDO, _ROUTING))
            }
        )
    )
