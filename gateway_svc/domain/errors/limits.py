"""What limits refuse, as the key service says."""

from __future__ import annotations

from gateway_svc.domain.reached_limit import ReachedLimit
from svc_runtime.service_error import ServiceError


class RateLimitedError(ServiceError):
    """A limit on requests or tokens in a minute, or on concurrent calls, is reached.

    Attributes:
        limit: Which one; None when the key service does not say.
        details: The same, for the caller's program.
    """

    reason = "RATE_LIMITED"
    public_message = "A limit on rate or concurrency is reached. Try again when there is room."

    def __init__(
        self, limit: ReachedLimit | None = None, retry_after_seconds: float | None = None
    ) -> None:
        """Say which limit it is, and when the request may fit."""
        super().__init__()
        self.limit = limit
        self.details = limit.details if limit else {}
        self.retry_after_seconds = retry_after_seconds
        self.public_message = _naming(limit, self.public_message)


class BudgetSpentError(ServiceError):
    """A budget in tokens or USD does not have what the request can take.

    Attributes:
        limit: Which one; None when the key service does not say.
        details: The same, for the caller's program.
    """

    reason = "BUDGET_SPENT"
    public_message = (
        "The budget for this use of the key has not enough left for the request. Ask for a shorter "
        "answer, wait for the next day or month, or ask the key's owner for more."
    )

    def __init__(self, limit: ReachedLimit | None = None) -> None:
        """Say which budget it is."""
        super().__init__()
        self.limit = limit
        self.details = limit.details if limit else {}
        self.public_message = _naming(limit, self.public_message)


class TokenBoundRequiredError(ServiceError):
    """Limits in tokens or USD hold, and nothing bounds what the request takes."""

    reason = "TOKEN_BOUND_REQUIRED"
    public_message = (
        "The key's limits can only be kept for a request that bounds what it takes. Set "
        "max_completion_tokens or max_output_tokens, and put the prompt into the body as text; "
        "what has no bound, such as a batch or a realtime session, needs a grant without limits "
        "in tokens or USD."
    )


class ModelPriceUnknownError(ServiceError):
    """Limits in USD hold, and the operator's list has no price for the model."""

    reason = "MODEL_PRICE_UNKNOWN"
    public_message = (
        "The key has a budget in USD, and the operator's price list does not have this model. Use "
        "another model, or ask the operator to add its price."
    )


class LimitStoreUnavailableError(ServiceError):
    """The key service cannot tell what is left of the limits."""

    reason = "LIMIT_STORE_UNAVAILABLE"
    public_message = (
        "The store of limits cannot be reached, so limits cannot be kept now. Nothing was refused; "
        "try again shortly."
    )
    retry_after_seconds = 1.0


def _naming(limit: ReachedLimit | None, text: str) -> str:
    return f"{text} {limit.text}" if limit else text
