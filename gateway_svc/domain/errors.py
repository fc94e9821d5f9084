"""The closed set of failures that the gateway tells apps.

ServiceError
├── NotGrantedError, GrantRevokedError, GrantExpiredError     refused by the key service
├── SourceNotGrantedError, EndpointNotGrantedError, ModelNotGrantedError
├── KeyPendingError, KeyDisabledError, KeyExpiredError
├── AppProofInvalidError
├── KeyServiceUnavailableError, LeaseExpiredError, SealedKeyUnusableError
├── HandoffSpentError, HandoffForgedError                    Vault
├── KeyRejectedUpstreamError                                  OpenAI
├── UpstreamUnavailableError, UpstreamTimedOutError, UpstreamAnswerUnusableError
├── UpstreamNotAllowedError
└── UpstreamRefusedError
    ├── UpstreamInvalidRequestError, UpstreamNotFoundError, UpstreamForbiddenError
    └── UpstreamConflictError, UpstreamRateLimitedError, UpstreamFailedError
"""

from __future__ import annotations

from collections.abc import Mapping

from svc_runtime.service_error import ServiceError


class NotGrantedError(ServiceError):
    """No such key, or no grant for this app; an app must not learn which."""

    reason = "NOT_GRANTED"
    public_message = "The app holds no grant on a key of this name. Ask the key's owner for one."


class GrantRevokedError(ServiceError):
    """The owner withdrew the app's grant."""

    reason = "GRANT_REVOKED"
    public_message = "The key's owner has revoked the app's grant."


class GrantExpiredError(ServiceError):
    """The app's grant has ended."""

    reason = "GRANT_EXPIRED"
    public_message = "The app's grant has expired. Ask the key's owner for a new one."


class KeyPendingError(ServiceError):
    """The key has not been verified yet."""

    reason = "KEY_PENDING"
    public_message = "The key has not been verified at OpenAI yet. Ask its owner, who can see why."


class KeyDisabledError(ServiceError):
    """The owner switched the key off."""

    reason = "KEY_DISABLED"
    public_message = "The key's owner has switched it off. Ask the owner to switch it on."


class KeyExpiredError(ServiceError):
    """The key's time is up."""

    reason = "KEY_EXPIRED"
    public_message = "The key has expired. Ask its owner to renew or rotate it."


class SourceNotGrantedError(ServiceError):
    """The grant does not cover the network that the app called from."""

    reason = "SOURCE_NOT_GRANTED"
    public_message = "The grant does not allow calls from this network."


class EndpointNotGrantedError(ServiceError):
    """The grant does not cover the endpoint."""

    reason = "ENDPOINT_NOT_GRANTED"
    public_message = "The grant does not cover this endpoint."


class ModelNotGrantedError(ServiceError):
    """The grant does not cover the model."""

    reason = "MODEL_NOT_GRANTED"
    public_message = "The grant does not cover this model, or the request names none."


class AppProofInvalidError(ServiceError):
    """The key service did not accept the app's own token."""

    reason = "APP_PROOF_INVALID"
    public_message = "The app's token does not prove that it is the app that calls."


class KeyServiceUnavailableError(ServiceError):
    """The key service is down, slow, or does not accept this gateway."""

    reason = "KEY_SERVICE_UNAVAILABLE"
    public_message = (
        "The key service cannot be reached now. Nothing was refused; try again shortly."
    )
    retry_after_seconds = 1.0


class LeaseExpiredError(ServiceError):
    """The lease ended before the key could be opened."""

    reason = "LEASE_EXPIRED"
    public_message = "The lease ended before the key could be used. Nothing was sent; try again."
    retry_after_seconds = 0.5


class SealedKeyUnusableError(ServiceError):
    """Vault cannot open the sealed key under the name that was asked for."""

    reason = "SEALED_KEY_UNUSABLE"
    public_message = (
        "The stored key does not open under this name. Its owner can rotate it; "
        "an operator must look at the key service."
    )


class HandoffSpentError(ServiceError):
    """The wrapped key was taken before the gateway could, within the lease's time."""

    reason = "HANDOFF_SPENT"
    public_message = (
        "The sealed key was unwrapped by somebody else on its way, or Vault was restored. Nothing "
        "was sent to OpenAI, and security was told. Try again."
    )


class HandoffForgedError(ServiceError):
    """What was handed over was wrapped by something else than the key service."""

    reason = "HANDOFF_FORGED"
    public_message = (
        "The sealed key was not wrapped as the key service does it. Nothing was sent to OpenAI, "
        "and security was told."
    )


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
