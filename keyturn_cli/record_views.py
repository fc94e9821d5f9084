"""Records of keys and grants as documents with stable names, and as rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import grant_pb2 as grant_pb
from keyturn.keyvault.v1 import key_pb2 as key_pb

KEY_COLUMNS: Final = ("name", "state", "version", "rotated", "active grants", "creator")
GRANT_COLUMNS: Final = ("name", "state", "app", "models", "endpoints", "networks", "expires")

_TO_THE_MINUTE: Final = "%Y-%m-%d %H:%MZ"


class KeyDocument(TypedDict):
    """A key's record, for programs. Times are ISO 8601, in UTC."""

    name: str
    state: str
    key_version: int
    create_time: str | None
    rotate_time: str | None
    active_grant_count: int
    creator: str


class GrantDocument(TypedDict):
    """A grant, for programs. `state` is `active`, `expired` or `revoked`."""

    name: str
    state: str
    app: str
    models: list[str]
    endpoints: list[str]
    source_cidrs: list[str]
    expire_time: str | None
    create_time: str | None
    creator: str
    revoke_time: str | None
    revoker: str | None


def key_document(key: key_pb.Key) -> KeyDocument:
    """Return *key* for programs."""
    state = key_pb.KeyState.Name(key.state).removeprefix("KEY_STATE_").lower()
    return KeyDocument(
        name=key.name,
        state=state,
        key_version=key.key_version,
        create_time=_iso(key.create_time) if key.HasField("create_time") else None,
        rotate_time=_iso(key.rotate_time) if key.HasField("rotate_time") else None,
        active_grant_count=key.active_grant_count,
        creator=key.creator,
    )


def grant_document(grant: grant_pb.Grant, now: datetime) -> GrantDocument:
    """Return *grant*, as it stands at *now*, for programs."""
    return GrantDocument(
        name=grant.name,
        state=_grant_state(grant, now),
        app=grant.app,
        models=list(grant.models),
        endpoints=list(grant.endpoints),
        source_cidrs=list(grant.source_cidrs),
        expire_time=_iso(grant.expire_time) if grant.HasField("expire_time") else None,
        create_time=_iso(grant.create_time) if grant.HasField("create_time") else None,
        creator=grant.creator,
        revoke_time=_iso(grant.revoke_time) if grant.HasField("revoke_time") else None,
        revoker=grant.revoker or None,
    )


def key_row(key: KeyDocument) -> list[str]:
    """Return *key* as a row under `KEY_COLUMNS`."""
    return [
        key["name"],
        key["state"],
        str(key["key_version"]),
        for_people(key["rotate_time"]),
        str(key["active_grant_count"]),
        key["creator"],
    ]


def grant_row(grant: GrantDocument) -> list[str]:
    """Return *grant* as a row under `GRANT_COLUMNS`."""
    return [
        grant["name"],
        grant["state"],
        grant["app"],
        _words(grant["models"]),
        _words(grant["endpoints"]),
        _words(grant["source_cidrs"]) or "anywhere",
        for_people(grant["expire_time"]) or "never",
    ]


def for_people(iso_time: str | None) -> str:
    """Return a time of a document to the minute, empty for none."""
    return datetime.fromisoformat(iso_time).strftime(_TO_THE_MINUTE) if iso_time else ""


def _grant_state(grant: grant_pb.Grant, now: datetime) -> str:
    if grant.HasField("revoke_time"):
        return "revoked"
    if grant.HasField("expire_time") and grant.expire_time.ToDatetime(UTC) <= now:
        return "expired"
    return "active"


def _iso(time: Timestamp) -> str:
    return time.ToJsonString()


def _words(items: Sequence[str]) -> str:
    return ", ".join(items)
