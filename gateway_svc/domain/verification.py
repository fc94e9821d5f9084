"""What OpenAI's answers say about a key: pure rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final


class VerificationOutcome(StrEnum):
    """What was found when a key was tried at OpenAI."""

    VERIFIED = "verified"
    WRONG_KEY = "wrong_key"
    NO_QUOTA = "no_quota"
    NO_PERMISSION = "no_permission"
    OPENAI_UNREACHABLE = "openai_unreachable"


# Codes of OpenAI's 401 that condemn the key itself. Every other 401 is about where the call comes
# from (`ip_not_authorized`), for whom (`mismatched_organization`) or what it may (missing scopes):
# what is not known to condemn a key must not cost its owner the key.
_KEY_CODES: Final = frozenset(
    {"account_deactivated", "api_key_expired", "invalid_api_key", "invalid_issuer"}
)
_QUOTA: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
)
_PAY: Final = frozenset({HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS})
# Says of the request that it cannot be served, which a key that is not known would not learn.
_ABOUT_THE_REQUEST: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
)


def outcome_of(status: int, body: bytes) -> VerificationOutcome | None:
    """Return what one answer says about the key.

    Args:
        status: HTTP status.
        body: The answer's body. Only the error's code and type are looked at.

    Returns:
        The outcome; None when the answer is about the request, and leaves open what the key may do.
    """
    answer = _json_object(body)
    if answer is None:
        # OpenAI answers in JSON, errors too: this is a proxy, or a wall in front of OpenAI.
        return VerificationOutcome.OPENAI_UNREACHABLE
    words = _words(answer)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        outcome = VerificationOutcome.VERIFIED
    elif status == HTTPStatus.UNAUTHORIZED:
        is_the_key = bool(words & _KEY_CODES)
        outcome = VerificationOutcome.WRONG_KEY if is_the_key else VerificationOutcome.NO_PERMISSION
    elif status in _PAY and words & _QUOTA:
        outcome = VerificationOutcome.NO_QUOTA
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        outcome = VerificationOutcome.VERIFIED  # OpenAI knows the key, and only paces it
    elif status == HTTPStatus.FORBIDDEN:
        outcome = VerificationOutcome.NO_PERMISSION
    elif status in _ABOUT_THE_REQUEST:
        return None
    else:
        outcome = VerificationOutcome.OPENAI_UNREACHABLE
    return outcome


def conclude(
    listing: VerificationOutcome | None, asking: VerificationOutcome | None
) -> VerificationOutcome:
    """Return what both answers say together.

    Args:
        listing: What the list of models said.
        asking: What a question to a model said; None when it was not asked, or left open.
    """
    if listing is None:
        return asking or VerificationOutcome.OPENAI_UNREACHABLE
    if asking is None:
        return listing
    # A restricted key need not list models: what it is for is to ask them.
    return asking


def is_final(listing: VerificationOutcome | None) -> bool:
    """Return whether the list of models alone has said enough."""
    return listing in {VerificationOutcome.WRONG_KEY, VerificationOutcome.OPENAI_UNREACHABLE}


def _json_object(body: bytes) -> Mapping[str, object] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _words(answer: Mapping[str, object]) -> set[str]:
    """Return code and type of the error that *answer* tells; none when it tells none."""
    match answer.get("error"):
        case dict() as error:
            return {str(error.get(name)) for name in ("code", "type")}
        case _:
            return set()
