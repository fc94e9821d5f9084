"""Why an app gets no key: refused by the key service, or not handed over whole."""

from __future__ import annotations

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


class AppProofRequiredError(ServiceError):
    """The grant or the deployment needs the app's own token, and there is none."""

    reason = "APP_PROOF_REQUIRED"
    public_message = (
        "This use of the key needs the app's own token, which the key service checks itself. Send "
        "it as the bearer token of the call, beside a certificate if there is one."
    )


class OwnerNotPresentError(ServiceError):
    """The grant needs the owner's presence, which nothing proves; or the proof sent is none."""

    reason = "OWNER_NOT_PRESENT"
    public_message = (
        "This use of the key needs its owner to be present: send a valid ID token of the owner, or "
        "of a member of the owning team, in x-keyturn-owner-token."
    )


class SuspendedError(ServiceError):
    """Operators stopped the key, its owner, the app, or everything."""

    reason = "SUSPENDED"
    public_message = (
        "The operators have suspended this use of the key. Ask them why, and when it goes on."
    )


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
