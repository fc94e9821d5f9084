"""How a record is written in KV: pydantic models of the stored JSON, and the way to the domain."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.key_assurance import KeyAssurance
from keyvault_svc.domain.key_record import KeyRecord
from keyvault_svc.domain.key_state import KeyState
from keyvault_svc.domain.key_version import (
    KeyVersion,
    SealedKey,
    Verification,
    VerificationOutcome,
)
from keyvault_svc.domain.names import KeyName
from keyvault_svc.vault.grant_format import (
    NO_LIMITS,
    Stored,
    StoredGrant,
    StoredLimits,
    grant_from_stored,
    grant_to_stored,
    limits_from_stored,
    limits_to_stored,
    text_of,
)


class _StoredVerification(Stored):
    outcome: VerificationOutcome
    verify_time: AwareDatetime


_Ciphertext = Annotated[str, Field(pattern=r"^vault:v[0-9]+:")]


class _StoredVersion(Stored):
    number: Annotated[int, Field(ge=1)]
    sealed_key: Annotated[_Ciphertext | None, Field(repr=False)]
    fingerprint: Annotated[str | None, Field(repr=False)]
    state: KeyState
    create_time: AwareDatetime
    verification: _StoredVerification | None
    overlap_seconds: Annotated[int, Field(ge=0)]
    destroy_time: AwareDatetime | None
    openai_key_id: str = ""


class _StoredRecord(Stored):
    schema_version: Literal[2]
    name: str
    creator: str
    create_time: AwareDatetime
    current: _StoredVersion
    last_number: Annotated[int, Field(ge=1)]
    incoming: _StoredVersion | None
    retiring: _StoredVersion | None
    expire_time: AwareDatetime | None
    assurance: KeyAssurance
    grants: list[StoredGrant]
    base_url: str = ""
    limits: StoredLimits = NO_LIMITS


class _FirstStoredRecord(Stored):
    """A record from before keys had versions. It is written in the present form when it changes."""

    schema_version: Literal[1]
    name: str
    state: Literal[KeyState.ACTIVE]
    sealed_key: Annotated[_Ciphertext, Field(repr=False)]
    fingerprint: Annotated[str, Field(repr=False)]
    key_version: Annotated[int, Field(ge=1)]
    create_time: AwareDatetime
    rotate_time: AwareDatetime
    creator: str
    grants: list[StoredGrant]


_ANY_RECORD: TypeAdapter[_StoredRecord | _FirstStoredRecord] = TypeAdapter(
    Annotated[_StoredRecord | _FirstStoredRecord, Field(discriminator="schema_version")]
)


def to_stored(record: KeyRecord) -> str:
    """Return what to store for *record*: JSON."""
    return json.dumps(
        {
            "schema_version": 2,
            "name": str(record.name),
            "creator": record.creator,
            "create_time": record.create_time.isoformat(),
            "current": _version_to_stored(record.current),
            "last_number": record.last_number,
            "incoming": _version_to_stored(record.incoming),
            "retiring": _version_to_stored(record.retiring),
            "expire_time": text_of(record.expire_time),
            "assurance": record.assurance.value,
            "grants": [grant_to_stored(grant) for grant in record.grants],
            **({"base_url": record.base_url} if record.base_url else {}),
            **limits_to_stored(record.limits),
        }
    )


def from_stored(name: KeyName, stored: str, revision: int) -> KeyRecord:
    """Return the record that *stored* describes.

    Args:
        name: The name that was asked for. A record that was copied to another name's path still
            says its own, and is refused here; Vault would refuse to open it besides.
        stored: What is stored.
        revision: Its version in KV.

    Raises:
        KeyRecordUnreadableError: *stored* is no record of *name* that this version can read.
    """
    record: KeyRecord | None
    try:
        fields = _ANY_RECORD.validate_json(stored)
        record = _record(name, fields, revision) if fields.name == str(name) else None
    except (ValidationError, ValueError):
        record = None
    if record is None:
        raise KeyRecordUnreadableError
    return record


def _record(name: KeyName, fields: _StoredRecord | _FirstStoredRecord, revision: int) -> KeyRecord:
    grants = tuple(grant_from_stored(grant) for grant in fields.grants)
    if isinstance(fields, _FirstStoredRecord):
        sealed = SealedKey(fields.sealed_key, fields.fingerprint)
        number = fields.key_version
        current = KeyVersion(number, sealed, fields.state, fields.rotate_time)
        return KeyRecord(
            name,
            fields.creator,
            fields.create_time,
            current,
            number,
            grants=grants,
            revision=revision,
        )
    return KeyRecord(
        name,
        fields.creator,
        fields.create_time,
        _version_from_stored(fields.current),
        fields.last_number,
        None if fields.incoming is None else _version_from_stored(fields.incoming),
        None if fields.retiring is None else _version_from_stored(fields.retiring),
        fields.expire_time,
        fields.assurance,
        grants,
        fields.base_url,
        limits_from_stored(fields.limits),
        revision,
    )


def _version_to_stored(version: KeyVersion | None) -> dict[str, object] | None:
    if version is None:
        return None
    sealed, tried = version.sealed, version.verification
    return {
        "number": version.number,
        "sealed_key": None if sealed is None else sealed.ciphertext,
        "fingerprint": None if sealed is None else sealed.fingerprint,
        "state": version.state.value,
        "create_time": version.create_time.isoformat(),
        "verification": None
        if tried is None
        else {"outcome": tried.outcome.value, "verify_time": tried.verify_time.isoformat()},
        "overlap_seconds": int(version.overlap.total_seconds()),
        "destroy_time": text_of(version.destroy_time),
        **({"openai_key_id": version.openai_key_id} if version.openai_key_id else {}),
    }


def _version_from_stored(version: _StoredVersion) -> KeyVersion:
    sealed, tried = None, None
    if (version.sealed_key is None) is not (version.fingerprint is None):
        raise ValueError("a sealed key and its fingerprint are there together or not at all")
    if version.sealed_key is not None and version.fingerprint is not None:
        sealed = SealedKey(version.sealed_key, version.fingerprint)
    if version.verification is not None:
        tried = Verification(version.verification.outcome, version.verification.verify_time)
    return KeyVersion(
        version.number,
        sealed,
        version.state,
        version.create_time,
        tried,
        timedelta(seconds=version.overlap_seconds),
        version.destroy_time,
        version.openai_key_id,
    )
