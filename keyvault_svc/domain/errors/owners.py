"""What people are told: owners, auditors and operators."""

from __future__ import annotations

from collections.abc import Sequence

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
    """None of the caller's roles toward this owner allows the action."""

    reason = "NOT_THE_OWNER"
    public_message = (
        "You may act for your own name and for teams in your groups only, and only as your role "
        "allows."
    )


class StepUpRequiredError(ServiceError):
    """The action needs a fresher or a stronger login than the person's token tells of.

    Attributes:
        details: What would do, for the caller's program: `max_age_seconds`, and space-separated
            `amr` and `acr`, one of each; empty where any does.
    """

    reason = "STEP_UP_REQUIRED"
    public_message = (
        "This action needs a fresh login, with a second factor where the deployment asks for one. "
        "Log in again and repeat it."
    )

    def __init__(self, *, max_age_seconds: int, amr: Sequence[str], acr: Sequence[str]) -> None:
        """Say what would do."""
        super().__init__()
        self.details = {
            "max_age_seconds": str(max_age_seconds),
            "amr": " ".join(amr),
            "acr": " ".join(acr),
        }


class TooManySuspensionsError(ServiceError):
    """As much is suspended, or as many owners have limits of their own, as may be."""

    reason = "TOO_MANY_SUSPENSIONS"
    public_message = (
        "There are 1,000 suspensions, 1,000 owners with limits of their own, or 256 KiB of both, "
        "which is the limit. Resume what may go on, or suspend something wider."
    )


class GrantEndedError(ServiceError):
    """The grant was revoked, or has expired: its terms cannot be changed any more."""

    reason = "GRANT_ENDED"
    public_message = "The grant has ended. Make a new one for the app."


class ConsentTextOutdatedError(ServiceError):
    """The owner agreed to another text than the one that is in force.

    Attributes:
        details: The version in force, for the caller's program: `consent_text_version`.
    """

    reason = "CONSENT_TEXT_OUTDATED"
    public_message = (
        "The consent's text is another by now, or its version was not given. Read the text that is "
        "in force, and agree to its version."
    )

    def __init__(self, *, current_version: str) -> None:
        """Say which version is in force."""
        super().__init__()
        self.details = {"consent_text_version": current_version}


class GrantRequestNotFoundError(ServiceError):
    """There is no such request, or it is none of the caller's business."""

    reason = "GRANT_REQUEST_NOT_FOUND"
    public_message = (
        "There is no request of this name. One that nobody decides ends after 30 days, and one "
        "that was decided is kept for 30 days at most."
    )


class GrantRequestDecidedError(ServiceError):
    """Somebody has decided the request."""

    reason = "GRANT_REQUEST_DECIDED"
    public_message = "The request was decided before. Look at it to see how, and by whom."


class TooManyGrantRequestsError(ServiceError):
    """The owner, or the requester, has as many open requests as may be."""

    reason = "TOO_MANY_GRANT_REQUESTS"
    public_message = (
        "Too many requests are open: 10 of yours to this owner, or 100 to the owner, is the limit. "
        "Wait until the owner decides."
    )
