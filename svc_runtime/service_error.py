"""The base of every error that a caller may see, and those that any service can raise.

    ServiceError
    ├── InvalidFieldError        INVALID_ARGUMENT
    ├── CallerUnverifiedError    CALLER_UNVERIFIED
    ├── CallerNotAllowedError    CALLER_NOT_ALLOWED
    ├── ServiceStoppingError     SERVICE_STOPPING
    └── (each service's own closed set, in its domain/errors.py)

An error's text is a constant of its class. That of `InvalidFieldError` is made of two constants;
those of the two errors of limits, `RATE_LIMITED` and `BUDGET_SPENT`, may add which limit it is in
fixed words and checked figures. So no secret and no input can travel in a text.
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """A failure with a stable reason and a text that is safe to show.

    Attributes:
        reason: `UPPER_SNAKE` word that programs may match on; it never changes.
        public_message: One or two sentences for people: what happened, what to do.
        retry_after_seconds: When a retry can help, after how many seconds.
    """

    reason: ClassVar[str]
    public_message: str
    retry_after_seconds: float | None = None

    def __init__(self) -> None:
        super().__init__(self.reason)


class InvalidFieldError(ServiceError):
    """The caller's input breaks a rule; nothing was done."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, rule: str) -> None:
        """Name the broken rule.

        Args:
            field: Path of the offending field, as the caller knows it.
            rule: What the field must be. A constant, never the input itself.
        """
        super().__init__()
        self.field = field
        self.rule = rule
        self.public_message = f"{field}: {rule}"


class CallerUnverifiedError(ServiceError):
    """The caller did not prove who it is."""

    reason = "CALLER_UNVERIFIED"
    public_message = (
        "The caller could not be verified. Send a client certificate or a token "
        "that this service trusts and that has not expired."
    )


class CallerNotAllowedError(ServiceError):
    """The caller is known, and may not call this method."""

    reason = "CALLER_NOT_ALLOWED"
    public_message = "This caller may not call this method."


class ServiceStoppingError(ServiceError):
    """The call took longer than the service may take to stop, and was cut."""

    reason = "SERVICE_STOPPING"
    public_message = (
        "The service is being replaced and could not wait for the end of this call. "
        "Call again: another replica serves you."
    )
    retry_after_seconds = 1.0
