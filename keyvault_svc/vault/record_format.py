"""How a record is written in KV: pydantic models of the stored JSON, and the way to the domain."""

from __future__ import annotations

import json
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from keyvault_svc.domain.errors import KeyRecordUnreadableError
from keyvault_svc.domain.grant import Grant, GrantTerms
from keyvault_svc.domain.key_record import KeyRecord, KeyState, SealedKey
from keyvault_svc.domain.names import KeyName
from svc_runtime.spiffe_id import SpiffeId


class _Stored(BaseModel):
    # A field that this version does not know may limit a grant: such a record is refused, not
    # read in part.
    model_config = ConfigDict(extra="forbid", frozen=True)


class _StoredGrant(_Stored):
    grant_id: str
    app: str
    models: list[str]
    endpoints: list[str]
    source_cidrs: list[str]
    expire_time: AwareDatetime | None
    create_time: AwareDatetime
    creator: str
    revoke_time: AwareDatetime | None
    revoker: str


class _StoredRecord(_Stored):
    schema_version: Literal[1]
    name: str
    state: KeyState
    sealed_key: Annotated[str, Field(pattern=r"^vault:v[0-9]+:", repr=False)]
    fingerprint: Annotated[str, Field(repr=False)]
    key_version: Annotated[int, Field(ge=1)]
    create_time: AwareDatetime
    rotate_time: AwareDatetime
    creator: str
    grants: list[_StoredGrant]


class _Envelope(_Stored):
    record: Annotated[str, Field(repr=False)]


_FIELD: Final = "record"


def to_stored(record: KeyRecord) -> dict[str, str]:
    """Return what to store for *record*.

    It is one string: OpenBao refuses a request with more than 1,000 strings, of which a record
    with its grants can have more.
    """
    return {_FIELD: json.dumps(_to_object(record))}


def _to_object(record: KeyRecord) -> dict[str, object]:
    return {
        "schema_version": 1,
        "name": str(record.name),
        "state": record.state.value,
        "sealed_key": record.sealed.ciphertext,
        "fingerprint": record.sealed.fingerprint,
        "key_version": record.key_version,
        "create_time": record.create_time.isoformat(),
        "rotate_time": record.rotate_time.isoformat(),
        "creator": record.creator,
        "grants": [_grant_to_stored(grant) for grant in record.grants],
    }


def from_stored(name: KeyName, stored: object, revision: int) -> KeyRecord:
    """Return the record that *stored* describes.

    Args:
        name: The name that was asked for. A record that was copied to another name's path still
            says its own, and is refused here; Vault would refuse to open it besides.
        stored: What is stored.
        revision: Its version in KV.

    Raises:
        KeyRecordUnreadableError: *stored* is no record of *name* that this version can read.
    """
    try:
        record = _StoredRecord.model_validate_json(_Envelope.model_validate(stored).record)
        grants = tuple(_grant_from_stored(grant) for grant in record.grants)
    except (ValidationError, ValueError):
        record, grants = None, ()
    if record is None or record.name != str(name):
        raise KeyRecordUnreadableError
    return KeyRecord(
        name,
        record.state,
        SealedKey(record.sealed_key, record.fingerprint),
        record.key_version,
        record.create_time,
        record.rotate_time,
        record.creator,
        grants,
        revision,
    )


def _grant_to_stored(grant: Grant) -> dict[str, object]:
    return {
        "grant_id": grant.grant_id,
        "app": str(grant.terms.app),
        "models": list(grant.terms.models),
        "endpoints": list(grant.terms.endpoints),
        "source_cidrs": [str(network) for network in grant.terms.source_cidrs],
        "expire_time": _text(grant.terms.expire_time),
        "create_time": grant.create_time.isoformat(),
        "creator": grant.creator,
        "revoke_time": _text(grant.revoke_time),
        "revoker": grant.revoker,
    }


def _grant_from_stored(grant: _StoredGrant) -> Grant:
    terms = GrantTerms(
        SpiffeId.parse(grant.app),
        tuple(grant.models),
        tuple(grant.endpoints),
        tuple(ip_network(cidr) for cidr in grant.source_cidrs),
        grant.expire_time,
    )
    return Grant(
        grant.grant_id, terms, grant.create_time, grant.creator, grant.revoke_time, grant.revoker
    )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
