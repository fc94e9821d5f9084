"""The closed set of failures that the key service tells its callers.

ServiceError
├── KeyNotFoundError, KeyExistsError, TooManyKeysError       owners: records
├── KeyDuplicateError, KeyStateConflictError
├── KeyChangedMeanwhileError, KeyRecordUnreadableError
├── GrantNotFoundError, GrantExistsError, TooManyGrantsError owners: consent
├── NotTheOwnerError
├── NotGrantedError, GrantRevokedError, GrantExpiredError    gateways: leases
├── KeyPendingError, KeyDisabledError, KeyExpiredError, KeyRejectedError
├── SourceNotGrantedError, EndpointNotGrantedError, ModelNotGrantedError
├── VerificationNotFoundError                                gateways: verifications
└── AppProofInvalidError
"""

from __future__ import annotations

from svc_runtime.service_error import ServiceError


class KeyNotFoundError(ServiceError):
    """The owner has no key of this name."""

    reason = "KEY_NOT_FOUND"
    public_message = "There is no key of this name. List the owner's keys to see their names."


class KeyExistsError(ServiceError):
    """The owner has a key of this name already."""

    reason = "KEY_EXISTS"
    public_message = "There is a key of this name already. Rotate it, or choose another name."


class TooManyKeysError(ServiceError):
    """The owner holds as many keys as an owner may."""

    reason = "TOO_MANY_KEYS"
    public_message = "The owner holds 100 keys, which is the limit. Delete one that is not used."


class KeyDuplicateError(ServiceError):
    """The plaintext is in custody already, under another name."""

    reason = "KEY_DUPLICATE"
    public_message = (
        "This OpenAI key is in custody already, under another name. Use that one, or make "
        "another key at OpenAI: a key for each purpose can be limited and revoked by itself."
    )


class KeyStateConflictError(ServiceError):
    """The key's state does not allow this."""

    reason = "KEY_STATE_CONFLICT"
    public_message = "The key's state does not allow this. Look at the key to see its state."


class KeyChangedMeanwhileError(ServiceError):
    """Other writers changed the record again and again while this call tried to."""

    reason = "KEY_CHANGED_MEANWHILE"
    public_message = "The key was changed by somebody else meanwhile. Nothing was done; try again."
    retry_after_seconds = 0.1


class KeyRecordUnreadableError(ServiceError):
    """The stored record is not one that this version can read."""

    reason = "KEY_RECORD_UNREADABLE"
    public_message = "The stored record cannot be read. An operator must look at the key service."


class GrantNotFoundError(ServiceError):
    """The key has no grant of this name."""

    reason = "GRANT_NOT_FOUND"
    public_message = "There is no grant of this name. List the key's grants to see their names."


class GrantExistsError(ServiceError):
    """The app holds an active grant on this key already."""

    reason = "GRANT_EXISTS"
    public_message = "The app holds an active grant on this key. Revoke it before you make another."


class TooManyGrantsError(ServiceError):
    """The key has as many active grants as a key may."""

    reason = "TOO_MANY_GRANTS"
    public_message = (
        "The key has 200 active grants, or 128 KiB of their terms, which is the limit. "
        "Revoke one that is not used, or name fewer models, endpoints and networks."
    )


class NotTheOwnerError(ServiceError):
    """The caller does not act for this owner."""

    reason = "NOT_THE_OWNER"
    public_message = "You may act for your own name and for teams in your groups only."


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


class KeyRejectedError(ServiceError):
    """OpenAI refused the key."""

    reason = "KEY_REJECTED_UPSTREAM"
    public_message = "OpenAI refused the key itself. Its owner must rotate it."


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
    """The app's own token does not prove the app that the gateway named."""

    reason = "APP_PROOF_INVALID"
    public_message = "The app's token does not prove that it is the app that calls."


class VerificationNotFoundError(ServiceError):
    """The verification was reported before, or is somebody else's by now."""

    reason = "VERIFICATION_NOT_FOUND"
    public_message = "There is no such verification under way. Nothing was changed."
