"""Messages of owners to domain types and back. Plaintexts are wrapped here, and cleared."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn.keyvault.v1 import key_service_pb2 as key_service_pb
from keyvault_svc.domain.deletion_proof import DeletionProof
from keyvault_svc.domain.intake import check_api_key, check_openai_key_id
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_change import KeyChange
from keyvault_svc.domain.key_policy import KeyPolicy
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import KeyVersion, Verification, VerificationOutcome
from keyvault_svc.domain.names import KeyName
from keyvault_svc.domain.person import Person, PersonCaller
from keyvault_svc.rpc.limit_messages import SINGLE_LIMITS, change_of_limits, limits_message
from keyvault_svc.rpc.times import datetime_of, optional_timestamp, timestamp
from svc_runtime.call_context import current_call
from svc_runtime.secret_bytes import SecretBytes
from svc_runtime.service_error import CallerUnverifiedError, InvalidFieldError

_STATE: Final = {
    KeyState.PENDING: key_pb.KEY_STATE_PENDING,
    KeyState.ACTIVE: key_pb.KEY_STATE_ACTIVE,
    KeyState.RETIRING: key_pb.KEY_STATE_RETIRING,
    KeyState.DISABLED: key_pb.KEY_STATE_DISABLED,
    KeyState.REJECTED: key_pb.KEY_STATE_REJECTED,
    KeyState.EXPIRED: key_pb.KEY_STATE_EXPIRED,
    KeyState.DELETED: key_pb.KEY_STATE_DELETED,
}
_ASSURANCE_MESSAGE: Final = {
    KeyAssurance.STANDARD: key_pb.KEY_ASSURANCE_STANDARD,
    KeyAssurance.HIGH: key_pb.KEY_ASSURANCE_HIGH,
}
_EXPIRY: Final = "expire_time"
_ASSURANCE: Final = "assurance"
_BASE_URL: Final = "base_url"
_OPENAI_KEY_ID: Final = "openai_key_id"
_CHANGEABLE: Final = frozenset({_EXPIRY, _ASSURANCE, _BASE_URL, _OPENAI_KEY_ID, "limits"})
_OUTCOME: Final = {
    VerificationOutcome.VERIFIED: key_pb.VERIFICATION_OUTCOME_VERIFIED,
    VerificationOutcome.WRONG_KEY: key_pb.VERIFICATION_OUTCOME_WRONG_KEY,
    VerificationOutcome.NO_QUOTA: key_pb.VERIFICATION_OUTCOME_NO_QUOTA,
    VerificationOutcome.NO_PERMISSION: key_pb.VERIFICATION_OUTCOME_NO_PERMISSION,
    VerificationOutcome.OPENAI_UNREACHABLE: key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE,
}


def calling_person() -> Person:
    """Return the person who makes the current call.

    Raises:
        CallerUnverifiedError: No person was verified.
    """
    caller = current_call().caller
    if not isinstance(caller, PersonCaller):
        raise CallerUnverifiedError
    return caller.person()


def take_api_key(
    request: key_service_pb.CreateKeyRequest | key_service_pb.RotateKeyRequest,
    admin_key: KeyName | None = None,
) -> SecretBytes:
    """Take the plaintext out of *request*, which holds it no longer afterwards.

    Args:
        request: The request.
        admin_key: The one name under which an admin key may go in, and nothing else; None for none.

    Raises:
        InvalidFieldError: It cannot be an OpenAI API key of the sort that goes under the name.
    """
    is_admin_key = admin_key is not None and request.name == str(admin_key)
    try:
        return check_api_key(request.api_key, is_admin_key=is_admin_key)
    finally:
        request.ClearField("api_key")


def change_of_key(message: key_pb.Key, paths: Collection[str]) -> KeyChange:
    """Return the change of a key that *message* asks for.

    Args:
        message: What the key is to have.
        paths: Which fields to change, as in `UpdateKeyRequest.update_mask`.

    Raises:
        InvalidFieldError: A field breaks its rule, or *paths* names none, or others.
    """
    if not paths or not set(paths) <= _CHANGEABLE | SINGLE_LIMITS:
        raise InvalidFieldError(
            "update_mask",
            f"must name some of {', '.join(sorted(_CHANGEABLE))}; of limits, single ones",
        )
    expire_time = None
    if _EXPIRY in paths and message.HasField(_EXPIRY):
        expire_time = datetime_of("key.expire_time", message.expire_time)
    return KeyChange(
        expire_time=expire_time,
        sets_expire_time=_EXPIRY in paths,
        assurance=assurance_of(message.assurance) if _ASSURANCE in paths else None,
        base_url=message.base_url if _BASE_URL in paths else None,
        limits=change_of_limits("key.limits", message.limits, paths),
        openai_key_id=_changed_id(message) if _OPENAI_KEY_ID in paths else None,
    )


def _changed_id(message: key_pb.Key) -> str:
    return check_openai_key_id(f"key.{_OPENAI_KEY_ID}", message.openai_key_id)


def key_message(record: KeyRecord, policy: KeyPolicy, now: datetime) -> key_pb.Key:
    """Return the message that describes *record*, as it stands at *now*."""
    current = record.current
    return key_pb.Key(
        name=str(record.name),
        state=_STATE[current.state],
        key_version=current.number,
        create_time=timestamp(record.create_time),
        rotate_time=timestamp(current.create_time),
        active_grant_count=len(record.active_grants(now)),
        creator=record.creator,
        expire_time=optional_timestamp(record.ends_at(policy)),
        rotate_due_time=optional_timestamp(record.rotate_due_time(policy)),
        assurance=_ASSURANCE_MESSAGE[record.assurance],
        verification=_verification(current.verification),
        incoming=_version(record.incoming),
        retiring=_version(record.retiring),
        base_url=record.base_url,
        limits=limits_message(record.limits),
        openai_key_id=current.openai_key_id,
    )


def _version(version: KeyVersion | None) -> key_pb.KeyVersion | None:
    if version is None:
        return None
    return key_pb.KeyVersion(
        key_version=version.number,
        state=_STATE[version.state],
        create_time=timestamp(version.create_time),
        destroy_time=optional_timestamp(version.destroy_time),
        verification=_verification(version.verification),
        openai_key_id=version.openai_key_id,
    )


def _verification(tried: Verification | None) -> key_pb.KeyVerification | None:
    if tried is None:
        return None
    return key_pb.KeyVerification(
        outcome=_OUTCOME[tried.outcome], verify_time=timestamp(tried.verify_time)
    )


def assurance_of(message: key_pb.KeyAssurance.ValueType) -> KeyAssurance:
    """Return the assurance that *message* asks for; the standard one if it asks for none.

    Raises:
        InvalidFieldError: It is none that there is.
    """
    if message == key_pb.KEY_ASSURANCE_UNSPECIFIED:
        return KeyAssurance.STANDARD
    for assurance, known in _ASSURANCE_MESSAGE.items():
        if known == message:
            return assurance
    raise InvalidFieldError("assurance", "must be one of the assurances")


def verification_outcome(message: key_pb.VerificationOutcome.ValueType) -> VerificationOutcome:
    """Return the outcome that *message* reports.

    Raises:
        InvalidFieldError: It is none that there is.
    """
    for outcome, known in _OUTCOME.items():
        if known == message:
            return outcome
    raise InvalidFieldError("outcome", "must be one of the outcomes")


def proof_message(proof: DeletionProof) -> key_pb.DeletionProof:
    """Return the message that tells *proof*."""
    return key_pb.DeletionProof(
        key=str(proof.key),
        destroyed_version_count=proof.destroyed_version_count,
        confirm_time=timestamp(proof.confirm_time),
    )


def optional_overlap(request: key_service_pb.RotateKeyRequest) -> timedelta | None:
    """Return the overlap that *request* asks for, in whole seconds; None if it asks for none.

    Raises:
        InvalidFieldError: It is no length of time.
    """
    if not request.HasField("overlap"):
        return None
    try:
        return timedelta(seconds=int(request.overlap.ToTimedelta().total_seconds()))
    except (ValueError, OverflowError):
        pass
    raise InvalidFieldError("overlap", "must be a length of time")
