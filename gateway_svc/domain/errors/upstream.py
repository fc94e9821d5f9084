"""What OpenAI refuses, and what keeps it from answering."""

from __future__ import annotations

from collections.abc import Mapping

from svc_runtime.service_error import ServiceError


class KeyRejectedUpstreamError(ServiceError):
    """OpenAI does not accept the key."""

    reason = "KEY_REJECTED_UPSTREAM"
    public_message = "OpenAI refused the key itself. Its owner must rotate it."


class UpstreamUnavailableError(ServiceError):
    """OpenAI cannot be reached, or broke off."""

    reason = "UPSTREAM_UNAVAILABLE"
    public_message = "OpenAI could not be reached, or broke off its answer."
    retry_after_seconds = 1.0


class UpstreamTimedOutError(ServiceError):
    """OpenAI did not answer before the call's deadline."""

    reason = "UPSTREAM_TIMED_OUT"
    public_message = "OpenAI did not finish its answer before the deadline of the call."


class UpstreamNotAllowedError(ServiceError):
    """The key is for a host that the gateway's operator does not allow."""

    reason = "UPSTREAM_NOT_ALLOWED"
    public_message = (
        "The key is for an OpenAI base URL that this gateway's operator does not allow. "
        "Its owner can change it; nothing was sent."
    )


class UpstreamAnswerUnusableError(ServiceError):
    """OpenAI's answer is too large for this kind of call, or is not what the endpoint promises."""

    reason = "UPSTREAM_ANSWER_UNUSABLE"
    public_message = (
        "OpenAI's answer is larger than this call can carry, or not of the promised form. "
        "Use the streaming pass-through call."
    )


class UpstreamRefusedError(ServiceError):
    """OpenAI answered a typed call with an error. `details` say what it said."""

    reason = "UPSTREAM_REFUSED"
    public_message = "OpenAI refused the request; the details hold its status, code and message."

    def __init__(self, details: Mapping[str, str]) -> None:
        """Keep OpenAI's status, type, code and message, which hold no key any more."""
        super().__init__()
        self.details = details


class UpstreamInvalidRequestError(UpstreamRefusedError):
    """OpenAI found the request invalid."""


class UpstreamNotFoundError(UpstreamRefusedError):
    """OpenAI knows no such model or object, or the key has no access to it."""


class UpstreamForbiddenError(UpstreamRefusedError):
    """The key lacks the permission that the request needs at OpenAI."""


class UpstreamConflictError(UpstreamRefusedError):
    """OpenAI found the request to conflict with its state."""


class UpstreamRateLimitedError(UpstreamRefusedError):
    """The key's rate or quota at OpenAI is spent."""


class UpstreamFailedError(UpstreamRefusedError):
    """OpenAI failed on its side."""

    retry_after_seconds = 1.0
